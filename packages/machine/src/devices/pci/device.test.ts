import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MmioDevice } from '../device.ts';
import { PciHost } from './device.ts';
import { PciFunction } from './function.ts';
import * as R from './registers.ts';

const WINDOW = 0x4000_0000;
const header = {
  vendorId: 0x1af4,
  deviceId: 0x1044,
  subsystemVendorId: 0x1af4,
  subsystemId: 0x44,
  revision: 1,
  classCode: 0x018000,
};

function build() {
  const log: [number, number, number][] = [];
  const device: MmioDevice = {
    read: (offset) => offset + 1,
    write: (offset, size, value) => log.push([offset, size, value]),
  };
  const lines: boolean[] = [];
  const host = new PciHost(WINDOW);
  const functions = [0, 1].map((i) => {
    const pci = new PciFunction(header, [{ index: i, size: 0x4000, device }]);
    host.add(pci, (slot) => (asserted) => {
      lines[slot] = asserted;
    });
    return pci;
  });
  const at = (slot: number, register: number) => (slot << R.ECAM_SLOT_SHIFT) | register;
  return { host, functions, log, lines, at };
}

describe('the PCI host', () => {
  it('finds functions by slot, and nothing elsewhere', () => {
    const { host, at } = build();
    assert.equal(host.config.read(at(1, R.VENDOR_ID), 4), 0x1044_1af4);
    assert.equal(host.config.read(at(1, R.REVISION_ID), 4), 0x0180_0001);
    assert.equal(host.config.read(at(2, R.VENDOR_ID), 4), 0xffff_ffff);
    assert.equal(host.config.read(at(0, R.VENDOR_ID) | (1 << 12), 2), 0xffff);
    assert.equal(host.config.read(at(0, 0x100), 4), 0);
  });

  it('tells the size of a BAR when all ones are written', () => {
    const { host, at } = build();
    host.config.write(at(1, R.BAR_0 + 4), 4, 0xffff_ffff);
    host.config.write(at(1, R.BAR_0 + 8), 4, 0xffff_ffff);
    assert.equal(host.config.read(at(1, R.BAR_0 + 4), 4), 0xffff_c004);
    assert.equal(host.config.read(at(1, R.BAR_0 + 8), 4), 0xffff_ffff);
    assert.equal(host.config.read(at(1, R.BAR_0), 4), 0);
  });

  it('decodes memory where a BAR was put, once memory is enabled, and follows it', () => {
    const { host, log, at } = build();
    host.config.write(at(0, R.BAR_0), 4, WINDOW + 0x8000);
    assert.equal(host.memory.read(0x8010, 4), 0xffff_ffff);
    host.config.write(at(0, R.COMMAND), 2, R.COMMAND_MEMORY);
    assert.equal(host.memory.read(0x8010, 4), 0x11);
    host.memory.write(0x8020, 2, 7);
    assert.deepEqual(log, [[0x20, 2, 7]]);
    host.config.write(at(0, R.BAR_0), 4, WINDOW + 0x1_0000);
    assert.equal(host.memory.read(0x8010, 1), 0xff);
    assert.equal(host.memory.read(0x1_0010, 4), 0x11);
  });

  it('keeps what is read-only', () => {
    const { host, at } = build();
    host.config.write(at(0, R.VENDOR_ID), 4, 0);
    host.config.write(at(0, R.STATUS), 2, 0xffff);
    host.config.write(at(0, R.INTERRUPT_LINE), 2, 0x5577);
    assert.equal(host.config.read(at(0, R.VENDOR_ID), 4), 0x1044_1af4);
    assert.equal(host.config.read(at(0, R.INTERRUPT_LINE), 2), 0x0177);
  });

  it('shows an interrupt in the status register, and masks it by command', () => {
    const { host, functions, lines, at } = build();
    functions[1]!.setInterrupt(true);
    assert.equal(lines[1], true);
    assert.equal(host.config.read(at(1, R.STATUS), 2) & R.STATUS_INTERRUPT, R.STATUS_INTERRUPT);
    host.config.write(at(1, R.COMMAND), 2, R.COMMAND_INTERRUPT_DISABLE);
    assert.equal(lines[1], false);
    host.config.write(at(1, R.COMMAND), 2, 0);
    assert.equal(lines[1], true);
  });

  it('links capabilities, and refuses those without room', () => {
    const pci = new PciFunction(header, []);
    const first = pci.addCapability(9, new Uint8Array(14));
    const second = pci.addCapability(9, new Uint8Array(3), Uint8Array.of(0, 0xff));
    assert.equal(pci.readConfig(R.CAPABILITIES, 1), first);
    assert.equal(pci.readConfig(first + 1, 1), second);
    assert.equal(pci.readConfig(second + 1, 1), 0);
    pci.writeConfig(second + 2, 2, 0x1234);
    assert.equal(pci.readConfig(second + 2, 2), 0x1200);
    assert.throws(() => pci.addCapability(9, new Uint8Array(200)), { code: 'MACHINE_BAD_OPTION' });
  });

  it('has 32 slots', () => {
    const host = new PciHost(WINDOW);
    for (let i = 0; i < 32; i++) host.add(new PciFunction(header, []), () => () => {});
    assert.throws(() => host.add(new PciFunction(header, []), () => () => {}), {
      code: 'MACHINE_BAD_OPTION',
    });
  });
});
