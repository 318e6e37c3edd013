import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { before, describe, it, type TestContext } from 'node:test';
import { needs, sharedBySuite, until } from '../../packages/oci/src/testing/tools.ts';
import {
  allHashes,
  contentOf,
  FILES,
  hashOf,
  nameOf,
  type Place,
  type Published,
  publish,
  setUp,
} from './image-world.ts';
import { endProcess } from './left-over.ts';

/** Megabytes of a disk with room for whole files: there may be none on this computer's own. */
const ROOMY = 256;

/** What the service says of its only mount. */
async function passthroughOf({ ask }: Place) {
  const { mounts } = JSON.parse((await ask('GET', '/v1/mounts')).text);
  return mounts[0].passthrough as { isOn: boolean; why?: string; opens: number; failures: number };
}

/** Reads files, again and again, until the kernel reads them by itself. */
async function pass(place: Place, ...files: readonly number[]): Promise<void> {
  for (const file of files) {
    await until(`file ${file} is passed`, async () => {
      const { opens } = await passthroughOf(place);
      assert.equal(await place.sum('fuse', file), hashOf(contentOf(file)));
      return (await passthroughOf(place)).opens > opens;
    });
  }
}

/** Whether a file is passed when it is opened once. */
async function isPassed(place: Place, file: number): Promise<boolean> {
  const { opens } = await passthroughOf(place);
  assert.equal(await place.sum('fuse', file), hashOf(contentOf(file)));
  return (await passthroughOf(place)).opens > opens;
}

/** Has a file open, and mapped, until it is let go. */
async function holding(test: TestContext, { directory }: Place, file: number) {
  const script = `
import hashlib, mmap, sys
file = open(sys.argv[1], 'rb')
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print('holds', flush=True)
sys.stdin.readline()
print(hashlib.sha256(mapped).hexdigest(), hashlib.sha256(file.read()).hexdigest(), flush=True)`;
  const path = join(directory, 'fuse', nameOf(file));
  const child: ChildProcess = spawn('python3', ['-c', script, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  test.after(() => void child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  /** Reads it all, and lets go. */
  const letGo = async () => {
    child.stdin!.write('\n');
    const said = (await text(child.stdout!)).trim();
    const expected = hashOf(contentOf(file));
    assert.equal(said, `${expected} ${expected}`);
  };
  return letGo;
}

const contentsIn = ({ directory }: Place) =>
  readdirSync(join(directory, 'cache/blobs/whole-2/content'));

/** Starts the service; without flags as commands start it where it is missing. */
async function serve({ start }: Place, ...flags: readonly string[]): Promise<void> {
  const serving = start('image', 'serve', '--quiet', ...flags);
  await until('it serves', () => serving.said.includes('"ready"'));
}

const stop = async ({ pids }: Place) => {
  for (const pid of pids('quiet')) endProcess(pid, 'SIGTERM');
  await until('the service has ended', () => pids('quiet').length === 0);
};

describe('files of images that the kernel reads by itself', {
  skip: needs('docker-registry', 'root', 'python3', 'bash', 'mkfs.ext4'),
}, () => {
  const suite = sharedBySuite();
  let published: Published;
  const bash = readFileSync(spawnSync('which', ['bash'], { encoding: 'utf8' }).stdout.trim());
  before(async () => {
    published = await publish(suite, (tree) => {
      tree.putFile('data/bash', bash, { mode: 0o755 });
    });
  });

  /** Mounted, with files of the cache on a disk of their own, whose size is given in megabytes. */
  const mounted = async (test: TestContext, disk = ROOMY) => {
    const place = await setUp(test, published, disk);
    await serve(place, '--passthrough');
    const { status, stderr } = await place.mount('fuse');
    assert.equal(status, 0, stderr);
    return place;
  };

  it('are what they are in the image: read, mapped, executed, and below an overlay', async (test) => {
    const place = await mounted(test);
    const { run, sums, anole, ask, directory } = place;
    assert.deepEqual(await passthroughOf(place), { isOn: true, opens: 0, failures: 0 });
    const all = Array.from({ length: FILES }, (_, file) => file);
    await pass(place, ...all);
    assert.deepEqual(await sums('fuse'), allHashes());
    assert.deepEqual(contentsIn(place).toSorted(), allHashes().toSorted());
    await (await holding(test, place, 7))();
    const execute = (root: string) => run(join(root, 'data/bash'), '-c', 'echo $((6 * 7))');
    // Of what is not all here no file is made.
    await run('cat', 'fuse/data/bash');
    await until('the program is passed', async () => {
      const { opens } = await passthroughOf(place);
      assert.equal((await execute(join(directory, 'fuse'))).stdout, '42\n');
      return (await passthroughOf(place)).opens > opens;
    });
    for (const each of ['upper', 'work', 'above']) mkdirSync(join(directory, each));
    const layers = 'lowerdir=fuse,upperdir=upper,workdir=work';
    const { status, stderr } = await run('mount', '-t', 'overlay', '-o', layers, 'none', 'above');
    assert.equal(status, 0, stderr);
    const before = (await passthroughOf(place)).opens;
    assert.deepEqual(await sums('above'), allHashes());
    assert.equal((await execute(join(directory, 'above'))).stdout, '42\n');
    assert.ok((await passthroughOf(place)).opens >= before + FILES);
    assert.equal((await run('sh', '-c', `echo more >> above/${nameOf(3)}`)).status, 0);
    assert.notEqual(await place.sum('above', 3), hashOf(contentOf(3)));
    assert.equal(await place.sum('fuse', 3), hashOf(contentOf(3)));
    assert.equal((await run('umount', 'above')).status, 0);
    const metrics = (await ask('GET', '/metrics')).text;
    assert.match(metrics, /^anole_image_passthrough{.*kind="fuse".*} 1$/m);
    assert.match(metrics, /^anole_image_passed_opens_total{.*} [1-9]/m);
    assert.match(metrics, /^anole_image_whole_file_bytes [1-9]/m);
    const { stdout } = await anole('image', 'mounts', '--json');
    assert.equal(JSON.parse(stdout)[0].passthrough.isOn, true);
    const evicted = JSON.parse((await ask('POST', '/v1/cache/evict?quota=0')).text);
    assert.ok(evicted.whole >= FILES * contentOf(0).length);
    assert.deepEqual(contentsIn(place), []);
    assert.equal(JSON.parse((await ask('GET', '/v1/cache')).text).whole, 0);
    assert.deepEqual(await sums('fuse'), allHashes());
  });

  it('are not passed while somebody has them otherwise, nor the other way round, also after a kill', async (test) => {
    const place = await mounted(test);
    const { pids, sum, sums } = place;
    const letGoRead = await holding(test, place, 1);
    await pass(place, 2);
    const letGoPassed = await holding(test, place, 2);
    // Made while it is open, it waits.
    await until('the file is there', async () => {
      assert.equal(await sum('fuse', 1), hashOf(contentOf(1)));
      return contentsIn(place).includes(hashOf(contentOf(1)));
    });
    assert.equal(await isPassed(place, 1), false);
    const reading = Promise.all(
      Array.from({ length: 4 * FILES }, (_, turn) => sum('fuse', turn % FILES)),
    );
    for (let turn = 0; turn < 3; turn++) {
      const [service] = pids('kept');
      endProcess(service!);
      await until('there is a next one', () => pids('kept').some((pid) => pid !== service));
      assert.equal(await sum('fuse', turn), hashOf(contentOf(turn)));
    }
    for (const [turn, met] of (await reading).entries()) {
      assert.equal(met, hashOf(contentOf(turn % FILES)), `reading ${turn}`);
    }
    assert.deepEqual(await sums('fuse'), allHashes());
    assert.equal(await isPassed(place, 1), false, 'the next one knows who has it');
    assert.equal(await isPassed(place, 2), true, 'and under which number');
    await letGoRead();
    await letGoPassed();
    assert.equal(await sum('fuse', 2), hashOf(contentOf(2)));
    await pass(place, 12);
  });

  it('are there for a later mount and a later service, who prove them', async (test) => {
    const place = await mounted(test);
    const { anole, mount, directory } = place;
    await pass(place, 4, 6, 8);
    const content = join(directory, 'cache/blobs/whole-2/content');
    await anole('image', 'umount', 'fuse');
    await stop(place);
    // A disk that has rotted, and one that has lost its end.
    const rotten = hashOf(contentOf(6));
    writeFileSync(join(content, rotten), contentOf(5));
    writeFileSync(join(content, hashOf(contentOf(8))), contentOf(8).subarray(0, 4096));
    await serve(place, '--passthrough');
    assert.equal((await mount('fuse')).status, 0);
    assert.equal(await isPassed(place, 4), true, 'at its first opening');
    assert.equal(await isPassed(place, 6), false);
    assert.equal(await isPassed(place, 8), false);
    await pass(place, 6, 8);
    assert.equal(hashOf(readFileSync(join(content, rotten))), rotten);
  });

  it('stay with who has them when they make room, and the mount frees them', async (test) => {
    const place = await mounted(test, 64);
    const { anole, run, sum, directory } = place;
    await pass(place, 3);
    const letGo = await holding(test, place, 3);
    rmSync(join(directory, 'cache/blobs/whole-2/content'), { recursive: true });
    assert.equal(await isPassed(place, 3), true, 'as long as somebody has it');
    await letGo();
    assert.equal(await isPassed(place, 3), false);
    await pass(place, 3, 9);
    const letGoLast = await holding(test, place, 9);
    assert.equal(await sum('fuse', 3), hashOf(contentOf(3)));
    await letGoLast();
    assert.equal((await anole('image', 'umount', 'fuse')).status, 0);
    await stop(place);
    // Files that the kernel has for a mount would keep their disk busy.
    const freed = await run('umount', 'cache');
    assert.equal(freed.status, 0, freed.stderr);
  });

  it('are none without --passthrough, but those of mounts that are taken over', async (test) => {
    const place = await setUp(test, published, ROOMY);
    const { mount, anole, sums, sum, pids } = place;
    for (const flags of [[], ['--no-passthrough']]) {
      await serve(place, ...flags);
      assert.equal((await mount('fuse')).status, 0);
      for (let turn = 0; turn < 3; turn++) assert.deepEqual(await sums('fuse'), allHashes());
      const why = 'the service that mounted it was started without';
      assert.deepEqual(await passthroughOf(place), { isOn: false, why, opens: 0, failures: 0 });
      await anole('image', 'umount', 'fuse');
      await stop(place);
    }
    await serve(place, '--passthrough');
    assert.equal((await mount('fuse')).status, 0);
    await pass(place, 3);
    const letGo = await holding(test, place, 3);
    // All but what holds the mount: the next keeper starts another service.
    for (const pid of [...pids('quiet'), ...pids('kept')]) endProcess(pid);
    await serve(place);
    assert.equal(await sum('fuse', 3), hashOf(contentOf(3)), 'who has it open has it passed');
    assert.equal((await passthroughOf(place)).isOn, true);
    assert.equal(await isPassed(place, 3), true);
    await letGo();
    assert.deepEqual(await sums('fuse'), allHashes());
    await pass(place, 5);
  });

  it('keep a mount from having two overlays, which it has without them', async (test) => {
    const place = await setUp(test, published, ROOMY);
    const { mount, anole, run, directory } = place;
    for (const each of ['upper', 'work', 'above', 'upper2', 'work2', 'top']) {
      mkdirSync(join(directory, each));
    }
    const overlay = (lower: string, upper: string, work: string, at: string) => {
      const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
      return run('mount', '-t', 'overlay', '-o', layers, 'none', at);
    };
    for (const [flags, stands] of [
      [['--passthrough'], false],
      [[], true],
    ] as const) {
      await serve(place, ...flags);
      assert.equal((await mount('fuse')).status, 0);
      assert.equal((await overlay('fuse', 'upper', 'work', 'above')).status, 0);
      const top = await overlay('above', 'upper2', 'work2', 'top');
      assert.equal(top.status === 0, stands, top.stderr);
      if (stands) {
        assert.equal(await place.sum('top', 2), hashOf(contentOf(2)));
        assert.equal((await run('umount', 'top')).status, 0);
      }
      assert.equal((await run('umount', 'above')).status, 0);
      await anole('image', 'umount', 'fuse');
      await stop(place);
    }
  });

  it('are not made where the disk is full, and nobody notices', async (test) => {
    const place = await mounted(test, 16);
    const { sums, directory } = place;
    assert.deepEqual(await sums('fuse'), allHashes());
    const filler = join(directory, 'cache/filler');
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k'], { stdio: 'ignore' });
    await until('making one has failed', async () => {
      assert.deepEqual(await sums('fuse'), allHashes());
      return (await passthroughOf(place)).failures > 0;
    });
    assert.deepEqual(await sums('fuse'), allHashes());
    assert.equal((await passthroughOf(place)).opens, 0);
    rmSync(filler);
    await pass(place, 3);
  });
});
