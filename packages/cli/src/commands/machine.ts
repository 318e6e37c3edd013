import { AnoleError } from '@anole/bytes';
import {
  type ElfOptions,
  formatSignature,
  type JitOptions,
  Machine,
  type MachineExit,
  type RunStatistics,
  repeatableRandom,
  runElf,
  VirtioRng,
} from '@anole/machine';
import { Command, Option } from 'commander';
import type { CommandContext } from '../context.ts';
import { act, usageError } from '../frame.ts';
import { GuestConsole } from '../machine/console.ts';
import { readInput, writeOutput } from '../machine/files.ts';
import { cpusOf, memoryOf } from '../run/arguments.ts';

interface JitFlags {
  readonly jit: boolean;
  readonly jitAfter?: string;
}

interface ElfFlags extends JitFlags {
  readonly signature?: string;
  readonly maxInstructions?: string;
  readonly memory?: string;
}

interface BootFlags extends JitFlags {
  readonly initrd?: string;
  readonly append: string;
  readonly memory?: string;
  readonly clock: string;
  readonly cpus?: string;
}

/** `anole machine`: the RISC-V machine by itself. */
export function machineCommand(): Command {
  return new Command('machine')
    .description('run kernels and bare-metal programs in the RISC-V machine')
    .addCommand(elfCommand())
    .addCommand(bootCommand());
}

function elfCommand(): Command {
  return new Command('elf')
    .description('run a bare-metal riscv64 program until it ends itself')
    .argument('<file>', 'a statically linked ELF64 program for 0x80000000')
    .option('--signature <file>', 'write memory from begin_signature to end_signature, in hex')
    .option('--max-instructions <count>', 'give up after so many instructions')
    .option('--memory <size>', 'RAM, such as 64M (default: 128M)')
    .addOption(jitAfter())
    .option('--no-jit', 'interpret all code; the program cannot tell')
    .addHelpText(
      'after',
      `
The program starts in M-mode with the hart's id in a0 and a device tree in a1. It ends by writing
(code << 1) | 1 to its symbol tohost, which makes "code" the exit code of this command (255 where
it is larger), or by the power register of QEMU's virt board. What it prints through HTIF or the
serial port at 0x10000000 is printed here.

Examples:
  anole machine elf hello.elf
  anole machine elf add-01.elf --signature add-01.sig --max-instructions 10000000
  anole machine elf add-01.elf --signature add-01.sig --jit-after 1`,
    )
    .action(act(elfAction));
}

/** For who tests compiled code: little of a short program is reached often. */
function jitAfter(): Option {
  return new Option('--jit-after <jumps>', 'compile a place after so many jumps to it, such as 1');
}

function bootCommand(): Command {
  return new Command('boot')
    .description('boot a riscv64 Linux kernel')
    .argument('<kernel>', 'an uncompressed Image')
    .option('--initrd <file>', 'initial RAM disk')
    .option('--append <arguments>', 'kernel command line', 'console=hvc0')
    .option('--memory <size>', 'RAM, such as 512M or 2G (default: 512M)')
    .option('--cpus <count>', 'harts, 1 to 16, each with a thread of its own (default: 1)')
    .option('--clock <source>', 'real, or instructions for runs that repeat exactly', 'real')
    .addOption(jitAfter())
    .option('--no-jit', 'interpret all code; the guest cannot tell')
    .addHelpText(
      'after',
      `
The console is hvc0, or ttyS0 where --append says console=ttyS0. On a terminal every key goes to
the guest; Ctrl-] three times within a second ends the machine. The exit code is 0 after a power
off or reboot, and 1 after a panic.

Examples:
  anole machine boot vmlinux --initrd initramfs.cpio
  anole machine boot vmlinux --append 'console=ttyS0 earlycon=sbi' --memory 1G`,
    )
    .action(act(bootAction));
}

async function elfAction(context: CommandContext, file: string, flags: ElfFlags): Promise<number> {
  const options: ElfOptions = {
    signal: context.signal,
    // With --json standard output is the result's alone.
    onOutput: (bytes) => void (context.json ? process.stderr : process.stdout).write(bytes),
    ...(flags.memory !== undefined && { memoryMiB: memoryOf(flags.memory) }),
    ...(flags.maxInstructions !== undefined && {
      maxInstructions: countOf(flags.maxInstructions, 'instructions'),
    }),
    jit: jitOf(flags),
  };
  const exit = await runElf(await readInput(file), options);
  if (flags.signature !== undefined) {
    if (exit.signature === undefined) {
      throw new AnoleError('CLI_NO_SIGNATURE', `Cannot write a signature: ${file} has none`, {
        hint: 'the program needs the symbols begin_signature and end_signature',
      });
    }
    await writeOutput(flags.signature, formatSignature(exit.signature));
  }
  if (context.json) {
    context.out(JSON.stringify({ exitCode: exit.code, ...figures(exit.statistics) }));
  }
  return Math.min(exit.code, 255);
}

async function bootAction(
  context: CommandContext,
  kernel: string,
  flags: BootFlags,
): Promise<number> {
  const { clock } = flags;
  if (clock !== 'real' && clock !== 'instructions') {
    throw usageError(`Cannot use the clock ${clock}: it is real or instructions`, 'machine boot');
  }
  const files = {
    kernel: await readInput(kernel),
    ...(flags.initrd !== undefined && { initrd: await readInput(flags.initrd) }),
  };
  const repeatable = clock === 'instructions';
  using guest = new GuestConsole(flags.append);
  await using machine = await Machine.create({
    ...files,
    clock,
    commandLine: flags.append,
    devices: [guest.device, new VirtioRng(repeatable ? repeatableRandom() : undefined)],
    onSerial: (bytes) => void process.stdout.write(bytes),
    ...(flags.memory !== undefined && { memoryMiB: memoryOf(flags.memory) }),
    ...(flags.cpus !== undefined && { cpus: cpusOf(flags.cpus) }),
    jit: jitOf(flags),
  });
  guest.pumpInput(machine).catch(() => {});
  const exit = await machine.run({ signal: AbortSignal.any([context.signal, guest.signal]) });
  return bootResult(context, exit, machine.statistics);
}

function bootResult(context: CommandContext, exit: MachineExit, statistics: RunStatistics): number {
  context.signal.throwIfAborted();
  if (exit.reason === 'stopped') throw new AnoleError('CLI_INTERRUPTED', 'Stopped by the user');
  if (context.json) context.out(JSON.stringify({ ...exit, ...figures(statistics) }));
  if (exit.reason === 'panic') {
    throw new AnoleError('CLI_GUEST_PANIC', `The kernel panicked: ${exit.message}`);
  }
  return exit.reason === 'poweroff' ? Math.min(exit.code, 255) : 0;
}

function figures({ instructions, busy }: RunStatistics): Record<string, number> {
  return { instructions, seconds: busy / 1000, mips: Math.round(instructions / busy / 1000) };
}

function jitOf({ jit, jitAfter }: JitFlags): boolean | JitOptions {
  if (!jit || jitAfter === undefined) return jit;
  return { threshold: countOf(jitAfter, 'jumps'), batch: 1 };
}

function countOf(text: string, what: 'instructions' | 'jumps'): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw usageError(`Cannot read the number of ${what} ${text}`, 'machine');
}
