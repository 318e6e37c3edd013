import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { TestDriver } from '../virtio/testing/driver.ts';
import { controlMessage, parseControl } from './control.ts';
import { VirtioConsole } from './device.ts';
import type { ConsolePortOptions } from './port.ts';
import * as R from './registers.ts';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (string: string) => new TextEncoder().encode(string);

function control(driver: TestDriver, id: number, event: number, value: number): void {
  driver.send(R.CONTROL_TRANSMIT, [controlMessage({ id, event, value })]);
}

/** The control messages that the device sent, as [id, event, value, rest]. */
function received(driver: TestDriver): [number, number, number, string][] {
  return driver.used(R.CONTROL_RECEIVE).map((used) => {
    const { id, event, value } = parseControl(used.bytes);
    return [id, event, value, text(used.bytes.subarray(R.CONTROL_SIZE))];
  });
}

/** A device whose driver has introduced itself and opened all ports. */
function opened(ports: ConsolePortOptions[]): { device: VirtioConsole; driver: TestDriver } {
  const device = new VirtioConsole(ports);
  const driver = new TestDriver(device).start();
  for (let i = 0; i < 32; i++) driver.post(R.CONTROL_RECEIVE, [], [64]);
  driver.kick(R.CONTROL_RECEIVE);
  control(driver, 0, R.DEVICE_READY, 1);
  for (const { id } of device.ports) {
    control(driver, id, R.PORT_READY, 1);
    control(driver, id, R.PORT_OPEN, 1);
  }
  return { device, driver };
}

describe('the console device', () => {
  it('introduces its ports: which are terminals, how large, by what name', () => {
    const { driver } = opened([
      { console: true, size: { columns: 80, rows: 24 }, onData() {} },
      { name: 'agent', onData() {} },
    ]);
    assert.deepEqual(received(driver), [
      [0, R.PORT_ADD, 1, ''],
      [1, R.PORT_ADD, 1, ''],
      [0, R.CONSOLE_PORT, 1, ''],
      [0, R.RESIZE, 0, 'P\0\u0018\0'],
      [0, R.PORT_OPEN, 1, ''],
      [1, R.PORT_NAME, 1, 'agent'],
      [1, R.PORT_OPEN, 1, ''],
    ]);
  });

  it('tells a terminal its newest size only', () => {
    const device = new VirtioConsole([{ console: true, onData() {} }]);
    const driver = new TestDriver(device).start();
    for (const rows of [10, 20, 30]) device.ports[0]!.resize({ columns: 100, rows });
    driver.send(R.CONTROL_RECEIVE, [], [64]);
    driver.send(R.CONTROL_RECEIVE, [], [64]);
    assert.deepEqual(received(driver), [[0, R.RESIZE, 0, 'd\0\u001e\0']]);
  });

  it('tells a driver without multiport the size in its configuration', () => {
    const device = new VirtioConsole([{ console: true, onData() {} }]);
    const driver = new TestDriver(device, { features: [R.F_SIZE] }).start();
    device.ports[0]!.resize({ columns: 100, rows: 30 });
    assert.equal(driver.read(0x2000, 4), 100 | (30 << 16));
    assert.equal(driver.interrupts, 1);
    driver.send(0, [], [8]);
    void device.ports[0]!.write(bytes('hi'));
    assert.equal(text(driver.used(0)[0]!.bytes), 'hi');
  });

  it('hands over what the guest sends, port by port', () => {
    const seen: string[] = [];
    const { driver } = opened([
      { console: true, onData: (data) => void seen.push(`0 ${text(data)}`) },
      { onData: (data) => void seen.push(`1 ${text(data)}`) },
    ]);
    driver.send(R.receiveQueue(1) + 1, [bytes('to'), bytes(' agent')]);
    driver.send(1, [bytes('to console')]);
    assert.deepEqual(seen, ['1 to agent', '0 to console']);
  });

  it('takes no more from the guest while the owner is busy', async () => {
    const seen: string[] = [];
    let release = () => {};
    const { driver } = opened([
      {
        onData(data) {
          seen.push(text(data));
          return new Promise<void>((resolve) => {
            release = resolve;
          });
        },
      },
    ]);
    for (const word of ['a', 'b', 'c']) driver.send(1, [bytes(word)]);
    assert.deepEqual(seen, ['a']);
    assert.equal(driver.used(1).length, 1);
    release();
    await setImmediate();
    assert.deepEqual(seen, ['a', 'b']);
  });

  it('spreads what the host writes over the guest buffers, and waits for room', async () => {
    const { device, driver } = opened([{ onData() {} }]);
    let done = false;
    const writing = device.ports[0]!.write(bytes('abcdefgh')).then(() => {
      done = true;
    });
    driver.send(0, [], [3]);
    driver.send(0, [], [2, 1]);
    await setImmediate();
    assert.equal(done, false);
    driver.send(0, [], [8]);
    await writing;
    assert.deepEqual(
      driver.used(0).map((used) => text(used.bytes)),
      ['abc', 'def', 'gh'],
    );
  });

  it('keeps what is written until the guest opens the port', () => {
    const device = new VirtioConsole([{ onData() {} }]);
    const driver = new TestDriver(device).start();
    void device.ports[0]!.write(bytes('early'));
    driver.send(0, [], [16]);
    assert.deepEqual(driver.used(0), []);
    control(driver, 0, R.PORT_OPEN, 1);
    assert.equal(text(driver.used(0)[0]!.bytes), 'early');
  });

  it('says when a program in the guest opens and closes the port', () => {
    const seen: boolean[] = [];
    const { driver } = opened([{ onData() {}, onOpen: (open) => seen.push(open) }]);
    control(driver, 0, R.PORT_OPEN, 0);
    control(driver, 0, R.PORT_OPEN, 1);
    driver.start();
    assert.deepEqual(seen, [true, false, true, false]);
  });

  it('settles writes when the machine ends', async () => {
    const device = new VirtioConsole([{ onData() {} }]);
    const writing = device.ports[0]!.write(bytes('never read'));
    device.stop();
    await writing;
    await device.ports[0]!.write(bytes('nor this'));
  });

  it('does not let a guest fill the host with control messages', () => {
    const device = new VirtioConsole([{ console: true, name: 'x', onData() {} }]);
    const driver = new TestDriver(device).start();
    const queue = driver.queueAt(R.CONTROL_TRANSMIT);
    const message = driver.place(controlMessage({ id: 0, event: R.PORT_READY, value: 1 }));
    for (let i = 0; i < 5000; i++) {
      const at = { address: message, length: R.CONTROL_SIZE, flags: 0 };
      queue.descriptor(queue.descriptors, i % queue.size, at, 0, 0);
      queue.makeAvailable(i % queue.size);
      driver.kick(R.CONTROL_TRANSMIT);
    }
    // Each message makes three; the device stops taking them when 256 wait.
    assert.equal(driver.used(R.CONTROL_TRANSMIT).length, Math.ceil(256 / 3));
  });

  it('ignores messages for ports that are not there', () => {
    const { driver } = opened([{ onData() {} }]);
    control(driver, 77, R.PORT_OPEN, 1);
    control(driver, 0xffff_ffff, R.PORT_READY, 1);
    assert.equal(driver.status, 15);
  });

  it('refuses to have no ports or too many', () => {
    for (const count of [0, 32]) {
      const ports = new Array(count).fill({ onData() {} });
      assert.throws(() => new VirtioConsole(ports), { code: 'MACHINE_BAD_OPTION' });
    }
  });
});
