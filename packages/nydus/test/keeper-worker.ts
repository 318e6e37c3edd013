// A keeper (`keeper CACHE`) and its service (`service CACHE`), which keeps a file, and one more each time it is told.
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { Keeper } from '../src/node/service/keeper.ts';
import { KeeperLink } from '../src/node/service/keeper-link.ts';

const [, own, role, cache] = process.argv as [string, string, string, string];

if (role === 'keeper') {
  const ending = new AbortController();
  process.on('SIGTERM', () => ending.abort());
  const keeper = new Keeper({
    command: [process.execPath, ...process.execArgv, own, 'service', cache],
    cache,
    socket: join(cache, 'socket'),
    onEvent: (event) => console.log(event),
  });
  await keeper.run(ending.signal);
} else {
  // Not to be told what is for the keeper.
  process.on('SIGTERM', () => {});
  if (existsSync(join(cache, 'fail'))) process.exit(1);
  const { link, legacy } = await KeeperLink.open();
  let kept = legacy.descriptors.size;
  const keep = () => link.keep(`file ${kept++}`, openSync(own, 'r'));
  process.on('SIGUSR2', () => void keep().then(() => console.log('told')));
  const image = { name: 'it', layers: [] };
  await link.mounts([{ directory: join(cache, 'at'), kind: 'fuse', image, since: 1 }]);
  if (kept === 0) await keep();
  link.ready();
  console.log(`serving ${process.pid} ${legacy.mounts.length}`);
  await link.ending;
  for (let at = 0; at < kept; at++) link.release(`file ${at}`);
  await link.stopped();
}
