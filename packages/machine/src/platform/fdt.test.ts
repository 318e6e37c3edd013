import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { describeBoard } from './device-tree.ts';
import { writeDeviceTree } from './fdt.ts';

const hasDtc = spawnSync('dtc', ['--version']).status === 0;
const skip = hasDtc ? false : 'dtc is not installed (Debian: device-tree-compiler)';

/** Source text of a flattened tree, by the device tree compiler. */
function decompile(blob: Uint8Array, ...flags: string[]): { text: string; warnings: string } {
  const dtc = spawnSync('dtc', ['-I', 'dtb', '-O', 'dts', ...flags], { input: blob });
  assert.equal(dtc.status, 0, dtc.stderr.toString());
  return { text: dtc.stdout.toString(), warnings: dtc.stderr.toString() };
}

describe('the device tree', () => {
  it('is one that the device tree compiler reads back', { skip }, () => {
    const blob = writeDeviceTree({
      name: '',
      properties: { text: 'a', list: ['b', 'cd'], cells: [1, 0xffff_ffff], flag: true },
      children: [
        { name: 'child@1', properties: { bytes: Uint8Array.of(1, 2, 3) } },
        { name: 'other', properties: { text: 'again' } },
      ],
    });
    const { text } = decompile(blob);
    assert.match(text, /list = "b(\\0|", ")cd";/);
    for (const line of [
      'text = "a";',
      'cells = <0x01 0xffffffff>;',
      'flag;',
      'bytes = [01 02 03];',
      'text = "again";',
    ]) {
      assert.ok(text.includes(line), `${line} in ${text}`);
    }
  });

  it('describes the board without a warning', { skip }, () => {
    const blob = writeDeviceTree(
      describeBoard({
        memorySize: 0x2000_0000,
        bootArguments: 'console=hvc0',
        initrd: { base: 0x9000_0000, size: 0x1234 },
        randomSeed: new Uint8Array(64),
        cpus: 2,
        pciSlots: 3,
      }),
    );
    const { text, warnings } = decompile(blob);
    assert.equal(warnings, '');
    assert.match(text, /linux,initrd-end = <0x00 0x90001234>;/);
    assert.match(text, /reg = <0x00 0x80000000 0x00 0x20000000>;/);
  });

  it('refuses what the format cannot hold', () => {
    const write = (value: number[] | string) =>
      writeDeviceTree({ name: '', properties: { x: value } });
    assert.throws(() => write([-1]), { code: 'MACHINE_BAD_DEVICE_TREE' });
    assert.throws(() => write([0x1_0000_0000]), { code: 'MACHINE_BAD_DEVICE_TREE' });
    assert.throws(() => write('a\0b'), { code: 'MACHINE_BAD_DEVICE_TREE' });
  });
});
