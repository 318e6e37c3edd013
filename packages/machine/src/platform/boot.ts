import { MachineError } from '../errors.ts';
import type { GuestMemory } from '../hart/guest-memory.ts';
import { describeBoard } from './device-tree.ts';
import { writeDeviceTree } from './fdt.ts';
import { parseLinuxImage } from './linux-image.ts';
import type { Region } from './memory-map.ts';

export interface BootFiles {
  /** A Linux `Image` for riscv64. */
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine: string;
  readonly randomSeed: Uint8Array;
  readonly pciSlots: number;
  /** Harts. Default 1. */
  readonly cpus?: number;
  /** Bytes of RAM that are the kernel's. Default: all. */
  readonly memorySize?: number;
  /** Where the devices' shared memory lies, behind those. */
  readonly windows?: Region | undefined;
}

/** Where a program finds itself: the start state that firmware hands over. */
export interface Entry {
  readonly pc: bigint;
  readonly deviceTree: bigint;
}

const PAGE = 0x1000;
/** Room for the device tree, and its alignment: the kernel maps it by pages of this size. */
const DEVICE_TREE_SPACE = 0x20_0000;

/**
 * Puts kernel, initial RAM disk and device tree into RAM: the kernel at its offset from the start,
 * the device tree at the top, the RAM disk below it.
 *
 * @throws MachineError `MACHINE_TOO_LARGE` where they do not fit; those of `parseLinuxImage`
 */
export function loadLinux(memory: GuestMemory, files: BootFiles): Entry {
  const image = parseLinuxImage(files.kernel);
  const kernelAt = memory.base + image.textOffset;
  const kernelEnd = kernelAt + image.imageSize;
  const memorySize = files.memorySize ?? memory.size;
  const deviceTreeAt = deviceTreeAddress(memory, memorySize);
  const initrdSize = files.initrd?.length ?? 0;
  const initrdAt = Math.floor((deviceTreeAt - initrdSize) / PAGE) * PAGE;
  if (kernelEnd > initrdAt) {
    throw new MachineError(
      'MACHINE_TOO_LARGE',
      `Cannot boot: the kernel (${image.imageSize} bytes) and the initial RAM disk ` +
        `(${initrdSize} bytes) do not fit into ${memorySize} bytes of RAM`,
      { hint: 'give the machine more memory' },
    );
  }
  memory.writable(kernelAt, files.kernel.length).set(files.kernel);
  if (files.initrd) memory.writable(initrdAt, initrdSize).set(files.initrd);
  const deviceTree = putDeviceTree(memory, {
    commandLine: files.commandLine,
    randomSeed: files.randomSeed,
    pciSlots: files.pciSlots,
    cpus: files.cpus ?? 1,
    memorySize,
    windows: files.windows,
    ...(files.initrd && { initrd: { base: initrdAt, size: initrdSize } }),
  });
  return { pc: BigInt(kernelAt), deviceTree };
}

export interface DeviceTreeContent {
  readonly commandLine: string;
  readonly randomSeed: Uint8Array;
  readonly pciSlots: number;
  /** Harts. Default 1. */
  readonly cpus?: number;
  readonly initrd?: Region;
  /** As in {@link BootFiles}. */
  readonly memorySize?: number;
  readonly windows?: Region | undefined;
}

/** Writes the device tree at the top of RAM; returns its address. */
export function putDeviceTree(memory: GuestMemory, content: DeviceTreeContent): bigint {
  const { memorySize = memory.size, windows } = content;
  const address = deviceTreeAddress(memory, memorySize);
  const bytes = writeDeviceTree(
    describeBoard({
      memorySize,
      bootArguments: content.commandLine,
      randomSeed: content.randomSeed,
      pciSlots: content.pciSlots,
      cpus: content.cpus ?? 1,
      ...(windows && { windows }),
      ...(content.initrd && { initrd: content.initrd }),
    }),
  );
  if (bytes.length > DEVICE_TREE_SPACE || !memory.contains(address, bytes.length)) {
    throw new MachineError(
      'MACHINE_TOO_LARGE',
      `Cannot place a device tree of ${bytes.length} bytes in ${memorySize} bytes of RAM`,
      { hint: 'give the machine more memory, or a shorter command line' },
    );
  }
  memory.writable(address, bytes.length).set(bytes);
  return BigInt(address);
}

function deviceTreeAddress(memory: GuestMemory, memorySize: number): number {
  const top = memory.base + memorySize - DEVICE_TREE_SPACE;
  return Math.floor(top / DEVICE_TREE_SPACE) * DEVICE_TREE_SPACE;
}
