import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { memorySource } from '@anole/bytes';
import { FuseServer } from '@anole/fuse';
import { Machine, openSnapshot, SharedMemory, VirtioFs } from '@anole/machine';
import { MemoryTree } from '@anole/vfs';
import { type BenchGuest, benchGuest } from '../../bench/guest.ts';

const READ = 15;
const SETUPMAPPING = 48;
const bb = '/bin/busybox';
/** Two ranges of 2 MiB and a part of a third, which ends within a page. */
const large = Uint8Array.from({ length: 0x40_0000 + 123_457 }, (_, at) => (at * 7) ^ (at >>> 9));
/** Larger than the window together with what was mapped before it: ranges have to be given up. */
const larger = new Uint8Array(0x500_0000).map((_, at) => at >>> 12);
const small = large.subarray(0, 5000);
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');

function tree(): MemoryTree {
  const made = new MemoryTree();
  made.putFile('large', large);
  made.putFile('larger', larger);
  made.putFile('small', small);
  made.putFile('program', large, { mode: 0o755 });
  return made;
}

/** A file system that is only read, with a window, and a count of what its server is asked. */
function fileSystem() {
  const sharedMemory = new SharedMemory();
  const server = new FuseServer(tree(), { mountedReadOnly: true, window: sharedMemory });
  const asked = new Map<number, number>();
  const handle = (request: Uint8Array) => {
    asked.set(request[4]!, (asked.get(request[4]!) ?? 0) + 1);
    return server.handle(request);
  };
  const device = new VirtioFs({ tag: 'data', sharedMemory, handle });
  return { server, device, asked: (opcode: number) => asked.get(opcode) ?? 0 };
}

/** What a guest prints, and when it printed something. */
class Output {
  text = '';
  readonly #waiting = new Map<string, () => void>();

  readonly take = (bytes: Uint8Array): void => {
    this.text += new TextDecoder('latin1').decode(bytes);
    for (const [word, tell] of this.#waiting) if (this.text.includes(word)) tell();
  };

  printed(word: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(word, resolve));
  }
}

const mount = `${bb} mkdir /mnt; ${bb} mount -t virtiofs -o ro data /mnt`;
const commandLine = 'console=ttyS0 cryptomgr.notests';

describe('files that the kernel maps from a window', () => {
  let kernel: Uint8Array;
  const guest = async (script: string): Promise<BenchGuest> => {
    const made = await benchGuest(`${mount}\n${script}`);
    kernel ??= readFileSync(made.kernel);
    return made;
  };
  let reads: BenchGuest;
  before(async () => {
    reads = await guest(
      `${bb} md5sum /mnt/large /mnt/larger /mnt/large /mnt/small /mnt/program\n` +
        `echo x > /mnt/large || echo REFUSED`,
    );
  });

  for (const cpus of [1, 2]) {
    it(`have the bytes that they should have, on ${cpus} harts`, async () => {
      const { device, asked } = fileSystem();
      const output = new Output();
      const { initrd } = reads;
      const devices = [device];
      const options = { kernel, initrd, commandLine, devices, cpus };
      await using machine = await Machine.create({ ...options, onSerial: output.take });
      assert.deepEqual(await machine.run(), { reason: 'poweroff', code: 0 });
      const sums = [...output.text.matchAll(/^([0-9a-f]{32}) /gm)].map(([, sum]) => sum);
      assert.deepEqual(sums, [large, larger, large, small, large].map(md5), output.text);
      assert.match(output.text, /REFUSED/);
      assert.ok(asked(SETUPMAPPING) >= 3 + 40 + 3, `${asked(SETUPMAPPING)} were mapped`);
      // Those of the small file and of the program, of which 128 KiB are read at once.
      const inParts = 1 + Math.ceil(large.length / 0x2_0000);
      assert.ok(asked(READ) > 0 && asked(READ) <= 2 * inParts, `${asked(READ)} were read`);
    });
  }

  it('are there in a machine that goes on from a snapshot', async () => {
    const script = `${bb} md5sum /mnt/large; echo MAPPED; read line; ${bb} md5sum /mnt/large`;
    const { initrd } = await guest(script);
    const first = fileSystem();
    const output = new Output();
    const chunks: Uint8Array[] = [];
    const printed = output.printed('MAPPED\r\n');
    const devices = [first.device];
    const options = { kernel, initrd, commandLine, devices, onSerial: output.take };
    await using machine = await Machine.create(options);
    const running = machine.run();
    await printed;
    await machine.save((chunk) => void chunks.push(chunk.slice()), { whenIdle: true });
    await machine.stop();
    await running;

    const snapshot = openSnapshot(memorySource(new Uint8Array(Buffer.concat(chunks))));
    const second = fileSystem();
    await second.server.restoreState(first.server.saveState()!);
    const later = new Output();
    const restored = { snapshot, devices: [second.device], onSerial: later.take };
    await using copy = await Machine.restore(restored);
    const end = copy.run();
    await copy.writeSerial(Uint8Array.of(10));
    assert.deepEqual(await end, { reason: 'poweroff', code: 0 });
    assert.match(later.text, new RegExp(md5(large)));
    assert.equal(second.asked(SETUPMAPPING) + second.asked(READ), 0, 'all of it was there');
  });
});
