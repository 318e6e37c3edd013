import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hasNative } from '@anole/host/native';

const main = join(import.meta.dirname, '../main.ts');
const base = mkdtempSync(join(tmpdir(), 'anole-mk-stopped-'));
const source = join(base, 'source');
/** Its data come behind all others. */
const last = join(source, 'z-last');
const named = hasNative() ? false : 'without koffi, files have a name while they are written';
const unprivileged = process.getuid?.() === 0 ? false : 'mounting needs root';

before(() => {
  mkdirSync(source);
  for (let file = 0; file < 4; file++) copyFileSync(process.execPath, join(source, `node-${file}`));
});
after(() => rmSync(base, { recursive: true, force: true }));

/** Builds an image of a source too large to be done soon, and calls `then` once it has begun. */
async function interrupted(
  name: string,
  then: (kill: (signal: NodeJS.Signals) => void) => void,
  ...args: string[]
) {
  writeFileSync(last, Buffer.alloc(2 ** 24, 'a line of some text\n'));
  const output = join(base, name);
  mkdirSync(output);
  const image = join(output, 'image');
  const argv = ['-C', 'anole-source', main, 'fs', 'mk', source, '-o', image, '--no-xattrs', '-q'];
  const child = spawn(process.execPath, [...argv, ...args]);
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  try {
    while (child.exitCode === null && !hasBegun(child.pid!, output)) await setTimeout(20);
    then((signal) => child.kill(signal));
    const code = await ended;
    return { code, stderr, image, left: readdirSync(output) };
  } finally {
    child.kill('SIGKILL');
  }
}

/** Whether a process has written to a file in the directory; it need not have a name there. */
function hasBegun(pid: number, directory: string): boolean {
  const open = `/proc/${pid}/fd`;
  try {
    return readdirSync(open).some((fd) => {
      const isThere = readlinkSync(join(open, fd)).startsWith(`${directory}/`);
      return isThere && statSync(join(open, fd)).size > 0;
    });
  } catch {
    // A descriptor was closed meanwhile, or the process ended.
    return false;
  }
}

for (const args of [[], ['-zlz4'], ['-zzstd', '-C65536', '-Eztailpacking']] as const) {
  const title = args.join(' ') || 'without compression';
  test(`an image that is interrupted leaves nothing behind, ${title}`, async () => {
    const { code, left } = await interrupted(
      `int${args.length}`,
      (kill) => kill('SIGINT'),
      ...args,
    );
    assert.notEqual(code, 0);
    assert.deepEqual(left, []);
  });

  test(`a file that shrinks meanwhile ends the image and is named, ${title}`, async () => {
    const cut = () => truncateSync(last, 1000);
    const { code, left, stderr } = await interrupted(`cut${args.length}`, cut, ...args);
    assert.notEqual(code, 0);
    assert.match(stderr, /Cannot store \/z-last: it is not what it was/);
    assert.deepEqual(left, []);
  });

  test(`a file that is written to meanwhile ends the image, too, ${title}`, async () => {
    const write = () => {
      const fd = openSync(last, 'r+');
      writeSync(fd, 'other bytes', statSync(last).size - 11);
      closeSync(fd);
    };
    const { code, left, stderr } = await interrupted(`written${args.length}`, write, ...args);
    assert.notEqual(code, 0);
    assert.match(stderr, /Cannot store \/z-last: it is not what it was/);
    assert.deepEqual(left, []);
  });

  test(`a disk that is full ends the image and is named, ${title}`, { skip: unprivileged }, () => {
    const disk = join(base, `disk${args.length}`);
    mkdirSync(disk);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', disk]);
    assert.equal(mounted.status, 0, String(mounted.stderr));
    try {
      const image = join(disk, 'image');
      const argv = [
        '-C',
        'anole-source',
        main,
        'fs',
        'mk',
        source,
        '-o',
        image,
        '--no-xattrs',
        '-q',
      ];
      const { status, stderr } = spawnSync(process.execPath, [...argv, ...args]);
      assert.notEqual(status, 0);
      assert.match(stderr.toString(), /code: HOST_NO_SPACE/);
      assert.deepEqual(readdirSync(disk), []);
    } finally {
      spawnSync('umount', [disk]);
    }
  });
}

for (const signal of ['SIGKILL', 'SIGQUIT'] as const) {
  const title = `an image whose making is ended by ${signal} leaves nothing behind`;
  test(title, { skip: named }, async () => {
    const { left } = await interrupted(signal, (kill) => kill(signal));
    assert.deepEqual(left, []);
  });
}
