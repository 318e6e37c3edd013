import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { noPreContent } from '../../test/tools.ts';
import { MountFlag, mount, unmount } from './mount.ts';
import { PreContentGroup } from './pre-content.ts';
import type { AccessEvent } from './pre-content-events.ts';
import { ReadyBlocks } from './ready-blocks.ts';

const skip = await noPreContent();

function temporary(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'pre-content-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Answers events until the group is closed. */
async function serve(group: PreContentGroup, fill: (event: AccessEvent) => boolean): Promise<void> {
  for (;;) {
    const events = await group.next();
    if (events.length === 0) return;
    for (const event of events) {
      group.answer(event.fd, fill(event));
      closeSync(event.fd);
    }
  }
}

function readBy(program: string, ...args: string[]): Promise<{ code: number | null; out: Buffer }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, out: Buffer.concat(pieces) }));
  });
}

describe('files whose contents come when they are read', { skip }, () => {
  it('are filled before the reader goes on; a refused reader gets an error', async (test) => {
    const directory = temporary(test);
    const [path, bad] = ['file', 'bad'].map((name) => join(directory, name));
    for (const file of [path!, bad!]) {
      writeFileSync(file, '');
      truncateSync(file, 10_000);
    }
    const group = new PreContentGroup(directory);
    test.after(() => group.close());
    for (const file of [path!, bad!]) group.mark(file);
    const isBad = ({ fd }: AccessEvent) =>
      statSync(`/proc/self/fd/${fd}`).ino === statSync(bad!).ino;
    const ranges: number[] = [];
    const served = serve(group, (event) => {
      if (isBad(event)) return false;
      ranges.push(event.offset);
      writeSync(event.fd, Buffer.alloc(10_000, 'x'), 0, 10_000, 0);
      return true;
    });
    const good = await readBy('cat', path!);
    assert.equal(good.code, 0);
    assert.ok(good.out.equals(Buffer.alloc(10_000, 'x')));
    assert.ok(ranges.includes(0));
    const refused = await readBy('cat', bad!);
    assert.equal(refused.code, 1);
    assert.equal(refused.out.length, 0);
    await group.close();
    await served;
  });

  it('also under an EROFS that is mounted from a file with holes', async (test) => {
    const directory = temporary(test);
    const [tree, image, holes, point] = ['tree', 'image', 'holes', 'point'].map((name) =>
      join(directory, name),
    );
    mkdirSync(tree!);
    mkdirSync(point!);
    const content = Buffer.from(
      Array.from({ length: 300_000 }, (_, at) => (at * 7 + (at >> 9)) & 255),
    );
    writeFileSync(join(tree!, 'content'), content);
    if (spawnSync('mkfs.erofs', ['--quiet', image!, tree!]).status !== 0) {
      test.skip('needs mkfs.erofs (Debian: erofs-utils)');
      return;
    }
    const whole = readFileSync(image!);
    // All but the file's own blocks, which are at the end or in the middle.
    const first = whole.indexOf(content.subarray(0, 4096));
    assert.ok(first >= 4096);
    writeFileSync(holes!, whole);
    const fd = openSync(holes!, 'r+');
    test.after(() => closeSync(fd));
    writeSync(fd, Buffer.alloc(294_912), 0, 294_912, first);
    const group = new PreContentGroup(directory);
    test.after(() => group.close());
    group.mark(holes!);
    let events = 0;
    const served = serve(group, ({ fd: file, offset, length }) => {
      events++;
      const bytes = whole.subarray(offset, Math.min(offset + length, whole.length));
      return writeSync(file, bytes, 0, bytes.length, offset) === bytes.length;
    });
    mount(holes!, point!, 'erofs', MountFlag.readOnly);
    const { code, out } = await readBy('cat', join(point!, 'content')).finally(() =>
      unmount(point!, { lazy: true }),
    );
    assert.equal(code, 0);
    assert.ok(out.equals(content));
    assert.ok(events > 0);
    assert.equal(
      readSync(fd, Buffer.alloc(10), 0, 10, first),
      10,
      'an older descriptor raises no events',
    );
    await group.close();
    await served;
  });

  it('are told of only where they are not there yet', async (test) => {
    const directory = temporary(test);
    const path = join(directory, 'file');
    const blocks = 256;
    writeFileSync(path, Buffer.alloc(blocks * 4096, 'x'));
    const group = new PreContentGroup(directory);
    test.after(() => group.close());
    const ready = new ReadyBlocks(blocks * 4096);
    group.mark(path, ready);
    let told = 0;
    const served = serve(group, () => ++told > 0);
    const all = () => readBy('dd', `if=${path}`, 'bs=4096', 'iflag=direct');
    assert.equal((await all()).out.length, blocks * 4096);
    const first = told;
    assert.ok(first >= blocks, `${first} of ${blocks} blocks`);
    ready.put(0, 128 * 4096);
    assert.equal((await all()).out.length, blocks * 4096);
    assert.equal(told - first, first - 128);
    // Another mark of the same file has nothing of that.
    const file = openSync(path, 'r');
    test.after(() => closeSync(file));
    renameSync(path, `${path}.moved`);
    group.unmark(file);
    renameSync(`${path}.moved`, path);
    group.mark(path, new ReadyBlocks(blocks * 4096));
    const before = told;
    assert.equal((await all()).out.length, blocks * 4096);
    assert.equal(told - before, first);
    await group.close();
    await served;
  });

  it('are answered for by a thread that goes before others', async (test) => {
    const group = new PreContentGroup(temporary(test));
    const served = serve(group, () => true);
    const priorities = () =>
      readdirSync('/proc/self/task').map((thread) => {
        const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
        // proc_pid_stat(5): the 19th, of which the third is the first behind the name.
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
      });
    while (!priorities().includes(-10)) await sleep(10);
    assert.equal(priorities().filter((each) => each < 0).length, 1, 'it alone');
    await group.close();
    await served;
  });

  it('let the process end although nobody answers, by whatever it ends', async (test) => {
    const directory = temporary(test);
    const script = join(directory, 'waits.ts');
    const module = JSON.stringify(import.meta.resolve('./pre-content.ts'));
    for (const [end, expected] of [
      ['process.exit(7)', 7],
      ["throw new Error('a mistake')", 1],
    ] as const) {
      writeFileSync(
        script,
        `import { PreContentGroup } from ${module};
// There is no program to be found.
process.env.PATH = '';
new PreContentGroup(${JSON.stringify(directory)}).next();
setTimeout(() => { ${end}; }, 300);`,
      );
      const child = spawn(process.execPath, ['-C', 'anole-source', script], { stdio: 'ignore' });
      // One that hangs is to fail the test, not to hang it.
      const stuck = setTimeout(() => child.kill('SIGKILL'), 20_000);
      const [code] = await once(child, 'close');
      clearTimeout(stuck);
      assert.equal(code, expected, end);
    }
    assert.deepEqual(readdirSync(directory), ['waits.ts']);
  });

  it('whose readers were left behind are dismissed', async (test) => {
    const directory = temporary(test);
    const path = join(directory, 'file');
    writeFileSync(path, 'holes');
    const group = new PreContentGroup(directory);
    test.after(() => group.close());
    group.mark(path);
    const reading = readBy('cat', path);
    const [event] = await group.next();
    closeSync(event!.fd);
    assert.equal(group.dismiss(1024), 1);
    assert.equal((await reading).code, 1);
    assert.equal(group.dismiss(1024), 0);
    await group.close();
  });
});
