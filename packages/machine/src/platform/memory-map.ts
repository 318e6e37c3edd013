/**
 * Where things are in the physical address space. The same places as QEMU's `virt` board
 * (hw/riscv/virt.c, virt_memmap), so that programs written for it find theirs here; the ECAM window
 * covers one bus only. The generation is ours; `virt` has nothing there.
 */
export interface Region {
  readonly base: number;
  readonly size: number;
}

export const memoryMap = {
  power: { base: 0x0010_0000, size: 0x1000 },
  rtc: { base: 0x0010_1000, size: 0x1000 },
  generation: { base: 0x0010_2000, size: 0x1000 },
  clint: { base: 0x0200_0000, size: 0x1_0000 },
  plic: { base: 0x0c00_0000, size: 0x60_0000 },
  uart: { base: 0x1000_0000, size: 0x100 },
  pciConfig: { base: 0x3000_0000, size: 0x10_0000 },
  pciMemory: { base: 0x4000_0000, size: 0x4000_0000 },
  ram: { base: 0x8000_0000 },
} as const;

/** PLIC sources. Each PCI slot's INTA has one of its own, so that no two devices share a line. */
export const interruptSource = {
  uart: 10,
  rtc: 11,
  generation: 12,
  /** Slot n has `pci + n`. */
  pci: 32,
} as const;

export const PLIC_SOURCES = 96;
