import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const program = 'qemu-system-riscv64';

/** A reason to skip, or false where QEMU is installed. */
export function missingQemu(): string | false {
  return spawnSync(program, ['--version']).status === 0 ? false : `${program} is not installed`;
}

/**
 * Runs a bare-metal program on QEMU's `virt` board; what it printed on the serial port.
 *
 * @param extensions beside those that our machine has
 */
export async function runOnQemu(elf: Uint8Array, extensions = ''): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'anole-differential-'));
  try {
    const kernel = join(directory, 'program.elf');
    const output = join(directory, 'serial');
    await writeFile(kernel, elf);
    const machine = [
      '-M',
      'virt',
      '-cpu',
      `rv64,zba=true,zbb=true,zbs=true${extensions}`,
      '-m',
      '32M',
      '-smp',
      '1',
    ];
    const devices = [
      '-bios',
      'none',
      '-kernel',
      kernel,
      '-serial',
      `file:${output}`,
      '-monitor',
      'none',
      '-display',
      'none',
    ];
    await promisify(execFile)(program, [...machine, ...devices], { timeout: 120_000 });
    return await readFile(output);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
