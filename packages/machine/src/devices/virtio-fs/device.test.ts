import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { STATUS_NEEDS_RESET } from '../virtio/registers.ts';
import { TestDriver } from '../virtio/testing/driver.ts';
import { type FsReply, VirtioFs } from './device.ts';
import { MAX_REQUEST } from './registers.ts';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (string: string) => new TextEncoder().encode(string);

describe('the file system device', () => {
  it('tells its tag and its number of request queues', () => {
    const driver = new TestDriver(
      new VirtioFs({ tag: 'root', requestQueues: 2, handle: () => undefined }),
    );
    assert.equal(driver.read(0x2000, 4), 0x746f_6f72);
    assert.equal(driver.read(0x2004, 1), 0);
    assert.equal(driver.read(0x2024, 4), 2);
  });

  it('refuses a tag that does not fit', () => {
    for (const tag of ['', 'x'.repeat(37), 'a\0b']) {
      assert.throws(() => new VirtioFs({ tag, handle: () => undefined }), {
        code: 'MACHINE_BAD_OPTION',
      });
    }
  });

  it('completes a request that is answered at once before the notification returns', () => {
    const device = new VirtioFs({
      tag: 'root',
      handle: (request, capacity) => [bytes(`${text(request)}:`), bytes(`${capacity}`)],
    });
    const driver = new TestDriver(device).start();
    driver.send(1, [bytes('he'), bytes('llo')], [4, 60]);
    assert.equal(text(driver.used(1)[0]!.bytes), 'hello:64');
  });

  it('completes a request without a reply', () => {
    const device = new VirtioFs({ tag: 'root', handle: () => undefined });
    const driver = new TestDriver(device).start();
    driver.send(0, [bytes('forget')]);
    assert.equal(driver.used(0)[0]!.written, 0);
  });

  it('completes others while a slow one is served, and keeps its bytes meanwhile', async () => {
    const waiting = new Map<string, (reply: FsReply) => void>();
    const device = new VirtioFs({
      tag: 'root',
      handle: (request) =>
        request[0] === 0x73 // s
          ? new Promise<FsReply>((resolve) => {
              waiting.set(text(request), () => resolve(request));
            })
          : request.slice(),
    });
    const driver = new TestDriver(device).start();
    const slow = driver.send(1, [bytes('slow')], [16]);
    const quick = driver.send(1, [bytes('quick')], [16]);
    assert.deepEqual(
      driver.used(1).map(({ token }) => token),
      [quick],
    );
    waiting.get('slow')!(undefined);
    await setImmediate();
    const [late] = driver.used(1);
    assert.equal(late!.token, slow);
    assert.equal(text(late!.bytes), 'slow');
    assert.ok(driver.interrupts > 0);
  });

  it('drops the reply to a request of before a reset', async () => {
    let finish = (_: FsReply) => {};
    const device = new VirtioFs({
      tag: 'root',
      handle: () =>
        new Promise<FsReply>((resolve) => {
          finish = resolve;
        }),
    });
    const driver = new TestDriver(device).start();
    driver.send(1, [bytes('x')], [16]);
    driver.start();
    finish(bytes('late'));
    await setImmediate();
    assert.deepEqual(driver.used(1), []);
  });

  it('cuts a reply that is longer than the room for it', () => {
    const device = new VirtioFs({ tag: 'root', handle: () => bytes('abcdef') });
    const driver = new TestDriver(device).start();
    driver.send(1, [bytes('x')], [4]);
    assert.equal(text(driver.used(1)[0]!.bytes), 'abcd');
  });

  it('ends the machine where a slow handler fails', async () => {
    const failure = new Error('disk gone');
    const device = new VirtioFs({ tag: 'root', handle: () => Promise.reject(failure) });
    const driver = new TestDriver(device).start();
    driver.send(1, [bytes('x')], [4]);
    await setImmediate();
    assert.deepEqual(driver.faults, [failure]);
  });

  it('leaves the queue alone while too much waits, and goes on later', async () => {
    const finishers: (() => void)[] = [];
    const device = new VirtioFs({
      tag: 'root',
      handle: () =>
        new Promise<FsReply>((resolve) => {
          finishers.push(() => resolve(undefined));
        }),
    });
    const driver = new TestDriver(device).start();
    const large = driver.place(new Uint8Array(0x10_0000));
    const queue = driver.queueAt(1);
    for (let i = 0; i < 100; i++) {
      queue.descriptor(queue.descriptors, i, { address: large, length: 0x10_0000, flags: 0 }, 0, 0);
      queue.makeAvailable(i);
    }
    driver.kick(1);
    assert.ok(finishers.length < 70, `${finishers.length} megabytes wait`);
    for (let done = 0; done < 100; done++) {
      finishers[done]!();
      await setImmediate();
    }
    assert.equal(driver.used(1).length, 100);
  });

  it('breaks at a request that no driver makes', () => {
    const device = new VirtioFs({ tag: 'root', handle: () => undefined });
    const driver = new TestDriver(device).start();
    const queue = driver.queueAt(1);
    const whole = { address: driver.memory.base, length: MAX_REQUEST + 1, flags: 0 };
    queue.descriptor(queue.descriptors, 0, whole, 0, 0);
    queue.makeAvailable(0);
    driver.kick(1);
    assert.equal(driver.status & STATUS_NEEDS_RESET, STATUS_NEEDS_RESET);
  });
});
