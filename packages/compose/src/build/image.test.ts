import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { openErofs } from '@anole/erofs';
import { fileSource, hostTree } from '@anole/host';
import { openImage, parsePlatform } from '@anole/oci';
import { imageTree, LayoutDirectory } from '@anole/oci/node';
import { describeDifferences, findNode, type Tree, treeFromTar } from '@anole/vfs';
import { CompressPool } from '../compress/pool.ts';
import { loadRecipe } from '../recipe/load.ts';
import { tinyProject, tinyRecipe } from '../testing/build.ts';
import { scratch, without } from '../testing/debs.ts';
import { ensureImage } from './ensure.ts';
import { buildImage, cachedImage } from './image.ts';

const skip = without('dpkg-deb');
const hash = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const offline = { locked: true, offline: true };

async function text(tree: Tree, path: string): Promise<string> {
  const node = await findNode(tree, path);
  assert.ok(node, `${path} is missing`);
  return new TextDecoder().decode(await node.read(0, node.stat.size));
}

test('the same lock gives the same bytes, whatever the cache and the clock', {
  skip,
}, async (t) => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const recipe = await loadRecipe(project.recipe);
  const build = async (name: string) => {
    const cache = await project.cache(name);
    const hashes: string[] = [];
    for (const format of ['erofs', 'tar'] as const) {
      const path = join(directory.path, `${name}.${format}`);
      await buildImage(recipe, path, { ...offline, cache, format });
      hashes.push(hash(path));
    }
    return hashes;
  };
  const first = await build('one');
  t.mock.timers.enable({ apis: ['Date'], now: 4_000_000_000_000 });
  assert.deepEqual(await build('two'), first);
});

test('an image that is compressed by other threads holds the same files', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const recipe = await loadRecipe(project.recipe);
  const cache = await project.cache('cache');
  const path = (name: string) => join(directory.path, name);
  await buildImage(recipe, path('plain'), { ...offline, cache });
  {
    await using pool = new CompressPool(2);
    const compression = { compressor: 'lz4', tails: 'inline', lanes: pool.lanes } as const;
    await buildImage(recipe, path('small'), { ...offline, cache, compression });
  }
  using plain = fileSource(path('plain'));
  using small = fileSource(path('small'));
  assert.equal(await describeDifferences(await openErofs(plain), await openErofs(small)), '');
  const left = readdirSync(directory.path).filter((name) => name.startsWith('.'));
  assert.deepEqual(left, []);
});

test('a container image has the tree as its layer, the same each time', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const recipe = await loadRecipe(project.recipe);
  const cache = await project.cache('cache');
  const path = (name: string) => join(directory.path, name);
  const build = (name: string, format: 'oci' | 'erofs') =>
    buildImage(recipe, path(name), { ...offline, cache, format });
  await build('one', 'oci');
  await build('two', 'oci');
  await build('image', 'erofs');
  const layout = new LayoutDirectory(path('one'));
  const root = await layout.resolve('latest');
  assert.equal((await new LayoutDirectory(path('two')).resolve()).digest, root.digest);
  assert.deepEqual(readdirSync(path('one')), ['blobs', 'index.json', 'oci-layout']);
  const image = await openImage(layout, root, parsePlatform('riscv64'));
  assert.equal(image.config.platform.architecture, 'riscv64');
  assert.ok(image.config.execution.env.some((setting) => setting.startsWith('PATH=/')));
  const tree = await imageTree(image, { scratch: directory.path });
  using source = fileSource(path('image'));
  const differences = await describeDifferences(tree, await openErofs(source));
  // A layer does not name its root.
  assert.match(differences, /^(?:\/: mtime .*)?$/);
  await tree.close?.();
  await assert.rejects(build('one', 'oci'), { code: 'BUILD_BAD_OUTPUT' });
});

test('every format holds the same tree', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const recipe = await loadRecipe(project.recipe);
  const cache = await project.cache('cache');
  const path = (format: string) => join(directory.path, `out.${format}`);
  for (const format of ['erofs', 'tar', 'dir'] as const) {
    await buildImage(recipe, path(format), { ...offline, cache, format });
  }
  using erofs = fileSource(path('erofs'));
  const image = await openErofs(erofs);
  using tar = fileSource(path('tar'));
  assert.equal(await describeDifferences(image, await treeFromTar(tar)), '');
  const isRoot = process.getuid?.() === 0;
  const unpacked = hostTree(path('dir'));
  // Without root a directory has neither owners nor devices.
  const compared = {
    ignore: isRoot ? [] : (['owner'] as const),
    filter: (one: string) => isRoot || one !== '/dev',
  };
  assert.equal(await describeDifferences(image, unpacked, compared), '');
  await unpacked.close?.();
});

test('packages, scripts and the recipe come together in the image', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const recipe = await loadRecipe(project.recipe);
  const path = join(directory.path, 'out.erofs');
  const built = await buildImage(recipe, path, { ...offline, cache: await project.cache('cache') });
  using source = fileSource(path);
  const image = await openErofs(source);
  assert.equal((await findNode(image, '/usr/bin/tool'))?.stat.mode, 0o755);
  assert.equal(await findNode(image, '/usr/share/doc/base-files/README'), undefined);
  assert.equal(await text(image, '/etc/profile'), 'umask 022\n');
  assert.equal(await text(image, '/opt/link'), 'hello\n');
  assert.equal(await text(image, '/etc/hostname'), 'tiny\n');
  assert.equal(await text(image, '/etc/environment'), 'LANG=C.UTF-8\n');
  assert.match(await text(image, '/etc/passwd'), /^dev:x:1000:1000::\/home\/dev:\/bin\/bash$/m);
  assert.match(await text(image, '/etc/group'), /^mail:x:8:dev$/m);
  assert.equal((await findNode(image, '/home/dev/.profile'))?.stat.uid, 1000);
  const data = await findNode(image, '/srv/data');
  assert.deepEqual([data?.stat.mode, data?.stat.uid], [0o750, 1000]);
  const status = await text(image, '/var/lib/dpkg/status');
  assert.match(status, /^Package: tool\nStatus: install ok installed\n/m);
  assert.match(status, /^Conffiles:\n \/etc\/issue d4a244c8da895b528beb95fb4a6d76a8$/m);
  assert.match(await text(image, '/var/lib/dpkg/info/tool.list'), /^\/\.\n\/bin\n\/bin\/tool\n$/);
  const unknown = built.scripts.filter((script) => script.status === 'unknown');
  assert.deepEqual(
    unknown.map((script) => [script.package, script.does]),
    [['tool', 'mystery --now']],
  );
});

test('an image is made once for the cache, and then found without parsing or a network', {
  skip,
}, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const cache = await project.cache('cache');
  const first = await ensureImage(project.recipe, { cache, offline: true });
  assert.equal(first.architecture, 'riscv64');
  assert.deepEqual(first.environment, { LANG: 'C.UTF-8' });
  // With the packages gone, only the fast way can succeed.
  for (const name of ['sha256', 'unpacked']) rmSync(join(cache, name), { recursive: true });
  assert.deepEqual(await ensureImage(project.recipe, { cache, offline: true }), first);
  // A recipe that was only touched leads to the same image by the slow way.
  utimesSync(project.recipe, 1, 1);
  assert.deepEqual(await ensureImage(project.recipe, { cache, offline: true }), first);
  rmSync(first.path);
  await assert.rejects(ensureImage(project.recipe, { cache, offline: true }), {
    code: 'ARCHIVE_OFFLINE',
  });
});

test('a recipe that changes its files makes another image', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const cache = await project.cache('cache');
  const first = await ensureImage(project.recipe, { cache, offline: true });
  writeFileSync(project.recipe, tinyRecipe.replace('hello', 'hello again'));
  const second = await ensureImage(project.recipe, { cache, offline: true });
  assert.notEqual(second.path, first.path);
  assert.equal(existsSync(first.path), true);
});

test('--locked refuses a lock that is missing or does not fit, and says why', {
  skip,
}, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const path = join(directory.path, 'out.erofs');
  const build = async (lockFile?: string) => {
    const options = {
      ...offline,
      cache: join(directory.path, 'cache'),
      ...(lockFile ? { lockFile } : {}),
    };
    return buildImage(await loadRecipe(project.recipe), path, options);
  };
  await assert.rejects(build(join(directory.path, 'none.yaml')), { code: 'LOCK_MISSING' });
  writeFileSync(project.recipe, tinyRecipe.replace('[tool]', '[tool, more]'));
  await assert.rejects(build(), {
    code: 'LOCK_DRIFT',
    message: /\n {2}packages: \+ more$/,
    hint: /os lock/,
  });
  assert.equal(existsSync(path), false);
});

test('a lock whose packages the archive dropped names the way out', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const server = createServer((_, response) => response.writeHead(404).end()).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const options = {
    locked: true,
    cache: join(directory.path, 'empty'),
    mirror: `http://127.0.0.1:${port}/debian`,
  };
  const building = buildImage(await loadRecipe(project.recipe), join(directory.path, 'x'), options);
  await assert.rejects(building, { code: 'ARCHIVE_NOT_FOUND', hint: /anole os lock .*tiny\.yaml/ });
  server.closeAllConnections();
  server.close();
});

test('a failed build leaves what was there, and nothing else', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(
    directory.path,
    `${tinyRecipe}  - { path: /etc/issue/under, content: x }\n`,
  );
  const cache = await project.cache('cache');
  const path = join(directory.path, 'out', 'image.erofs');
  const recipe = await loadRecipe(project.recipe);
  await assert.rejects(buildImage(recipe, path, { ...offline, cache }), { code: 'BUILD_BAD_FILE' });
  assert.equal(existsSync(path), false);
  const good = { ...recipe, files: [] };
  const abort = new AbortController();
  const onProgress = ({ step }: { step: string }) => step === 'write image' && abort.abort();
  const aborted = buildImage(good, path, { ...offline, cache, signal: abort.signal, onProgress });
  await assert.rejects(aborted, { name: 'AbortError' });
  assert.deepEqual(
    existsSync(join(directory.path, 'out')) ? readdirSync(join(directory.path, 'out')) : [],
    [],
  );
});

test('two calls at once share one image', { skip }, async () => {
  using directory = scratch();
  const project = await tinyProject(directory.path);
  const cache = await project.cache('cache');
  const recipe = await loadRecipe(project.recipe);
  const results = await Promise.all([1, 2].map(() => cachedImage(recipe, { ...offline, cache })));
  assert.equal(results[0]!.path, results[1]!.path);
  assert.equal(statSync(results[0]!.path).size % 4096, 0);
  assert.equal(readdirSync(join(cache, 'images')).length, 1);
});

test('an output that cannot be written is refused before any work', async () => {
  using directory = scratch();
  const recipe = await loadRecipe('base');
  const steps: string[] = [];
  const onProgress = ({ step }: { step: string }) => steps.push(step);
  const built = buildImage(recipe, directory.path, { onProgress });
  await assert.rejects(built, { code: 'BUILD_BAD_OUTPUT' });
  assert.deepEqual(steps, []);
});
