import { TIMEBASE_HZ } from '../hart/hart.ts';
import { cells64, type DeviceTreeNode } from './fdt.ts';
import { interruptSource, memoryMap, PLIC_SOURCES, type Region } from './memory-map.ts';

export interface BoardDescription {
  readonly memorySize: number;
  /** Where PCI devices may have shared memory. */
  readonly windows?: Region;
  readonly bootArguments: string;
  /** Where the initial RAM disk lies. */
  readonly initrd?: Region;
  /** Seeds the kernel's random numbers before it has a source of its own. */
  readonly randomSeed: Uint8Array;
  readonly pciSlots: number;
  /** Harts. */
  readonly cpus: number;
}

/** What the hart has, as the ISA string and the newer list of extensions name it. */
const extensions = [
  ...['i', 'm', 'a', 'f', 'd', 'c', 'zicntr', 'zicsr', 'zifencei'],
  ...['zba', 'zbb', 'zbs', 'sstc'],
];
const isaString = `rv64${extensions.filter((name) => name.length === 1).join('')}_${extensions
  .filter((name) => name.length > 1)
  .join('_')}`;

const PLIC_PHANDLE = 2;
const POWER_PHANDLE = 3;
/** Of hart 0's interrupt controller; those of the others follow far behind. */
const hartPhandle = (hart: number): number => (hart === 0 ? 1 : 0x100 + hart);
/** Cause numbers of external interrupts in `interrupts-extended`. */
const MACHINE_EXTERNAL = 11;
const SUPERVISOR_EXTERNAL = 9;

/** The machine described for a kernel: what is where, and what it was given. */
export function describeBoard(board: BoardDescription): DeviceTreeNode {
  return {
    name: '',
    properties: {
      '#address-cells': [2],
      '#size-cells': [2],
      compatible: 'anole,virt',
      model: 'anole,virt',
    },
    children: [
      chosen(board),
      {
        name: unit('memory', memoryMap.ram.base),
        properties: {
          device_type: 'memory',
          reg: [...cells64(memoryMap.ram.base), ...cells64(board.memorySize)],
        },
      },
      processors(board.cpus),
      {
        name: 'soc',
        properties: {
          '#address-cells': [2],
          '#size-cells': [2],
          compatible: 'simple-bus',
          ranges: true,
        },
        children: [plic(board.cpus), serial(), clock(), generation(), power(), pci(board)],
      },
      powerRequest('poweroff', 0x5555),
      powerRequest('reboot', 0x7777),
    ],
  };
}

function chosen(board: BoardDescription): DeviceTreeNode {
  const { initrd } = board;
  return {
    name: 'chosen',
    properties: {
      bootargs: board.bootArguments,
      'stdout-path': `/soc/${unit('serial', memoryMap.uart.base)}`,
      'rng-seed': board.randomSeed,
      ...(initrd && {
        'linux,initrd-start': cells64(initrd.base),
        'linux,initrd-end': cells64(initrd.base + initrd.size),
      }),
    },
  };
}

function processors(cpus: number): DeviceTreeNode {
  return {
    name: 'cpus',
    properties: {
      '#address-cells': [1],
      '#size-cells': [0],
      'timebase-frequency': [TIMEBASE_HZ],
    },
    children: harts(cpus).map(processor),
  };
}

const harts = (cpus: number): readonly number[] => Array.from({ length: cpus }, (_, hart) => hart);

function processor(hart: number): DeviceTreeNode {
  return {
    name: `cpu@${hart.toString(16)}`,
    properties: {
      device_type: 'cpu',
      reg: [hart],
      status: 'okay',
      compatible: 'riscv',
      'riscv,isa-base': 'rv64i',
      'riscv,isa-extensions': extensions,
      'riscv,isa': isaString,
      'mmu-type': 'riscv,sv48',
    },
    children: [
      {
        name: 'interrupt-controller',
        properties: {
          '#interrupt-cells': [1],
          '#address-cells': [0],
          'interrupt-controller': true,
          compatible: 'riscv,cpu-intc',
          phandle: [hartPhandle(hart)],
        },
      },
    ],
  };
}

function plic(cpus: number): DeviceTreeNode {
  return {
    name: unit('plic', memoryMap.plic.base),
    properties: {
      compatible: ['sifive,plic-1.0.0', 'riscv,plic0'],
      reg: registers(memoryMap.plic),
      '#interrupt-cells': [1],
      '#address-cells': [0],
      'interrupt-controller': true,
      'interrupts-extended': harts(cpus).flatMap((hart) => [
        ...[hartPhandle(hart), MACHINE_EXTERNAL],
        ...[hartPhandle(hart), SUPERVISOR_EXTERNAL],
      ]),
      'riscv,ndev': [PLIC_SOURCES - 1],
      phandle: [PLIC_PHANDLE],
    },
  };
}

function serial(): DeviceTreeNode {
  return {
    name: unit('serial', memoryMap.uart.base),
    properties: {
      compatible: 'ns16550a',
      reg: registers(memoryMap.uart),
      'clock-frequency': [3_686_400],
      'interrupt-parent': [PLIC_PHANDLE],
      interrupts: [interruptSource.uart],
    },
  };
}

function clock(): DeviceTreeNode {
  return {
    name: unit('rtc', memoryMap.rtc.base),
    properties: {
      compatible: 'google,goldfish-rtc',
      reg: registers(memoryMap.rtc),
      'interrupt-parent': [PLIC_PHANDLE],
      interrupts: [interruptSource.rtc],
    },
  };
}

function generation(): DeviceTreeNode {
  return {
    name: unit('rng', memoryMap.generation.base),
    properties: {
      compatible: 'microsoft,vmgenid',
      reg: registers(memoryMap.generation),
      'interrupt-parent': [PLIC_PHANDLE],
      interrupts: [interruptSource.generation],
    },
  };
}

function power(): DeviceTreeNode {
  return {
    name: unit('test', memoryMap.power.base),
    properties: {
      compatible: ['sifive,test1', 'sifive,test0', 'syscon'],
      reg: registers(memoryMap.power),
      phandle: [POWER_PHANDLE],
    },
  };
}

function powerRequest(name: 'poweroff' | 'reboot', value: number): DeviceTreeNode {
  return {
    name,
    properties: {
      compatible: `syscon-${name}`,
      regmap: [POWER_PHANDLE],
      offset: [0],
      value: [value],
    },
  };
}

/**
 * Types of PCI addresses (IEEE 1275 PCI binding, phys.hi): memory space, 32-bit; and 64-bit, prefetchable,
 * where only BARs of shared memory may lie.
 */
const PCI_MEMORY_32 = 0x0200_0000;
const PCI_PREFETCHABLE_64 = 0x4300_0000;

function pci({ pciSlots: slots, windows }: BoardDescription): DeviceTreeNode {
  const { pciConfig, pciMemory } = memoryMap;
  const interruptMap: number[] = [];
  for (let slot = 0; slot < slots; slot++) {
    interruptMap.push(slot << 11, 0, 0, 1, PLIC_PHANDLE, interruptSource.pci + slot);
  }
  return {
    name: unit('pci', pciConfig.base),
    properties: {
      compatible: 'pci-host-ecam-generic',
      device_type: 'pci',
      '#address-cells': [3],
      '#size-cells': [2],
      '#interrupt-cells': [1],
      'linux,pci-domain': [0],
      'bus-range': [0, 0],
      'dma-coherent': true,
      reg: registers(pciConfig),
      ranges: [
        ...[PCI_MEMORY_32, ...range(pciMemory)],
        ...(windows === undefined ? [] : [PCI_PREFETCHABLE_64, ...range(windows)]),
      ],
      // Slot and pin choose the line; each slot has only INTA.
      'interrupt-map-mask': [0xf800, 0, 0, 7],
      ...(slots > 0 && { 'interrupt-map': interruptMap }),
    },
  };
}

/** The same addresses on both sides of the bridge. */
function range(region: Region): readonly number[] {
  return [...cells64(region.base), ...registers(region)];
}

function registers(region: Region): readonly number[] {
  return [...cells64(region.base), ...cells64(region.size)];
}

function unit(name: string, address: number): string {
  return `${name}@${address.toString(16)}`;
}
