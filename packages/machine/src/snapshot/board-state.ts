import type { Crew, LinkState } from '../harts/crew.ts';
import type { Board } from '../platform/board.ts';
import { areWindows } from '../platform/windows.ts';
import { damaged, foreign } from './errors.ts';
import { type Json, stateFromJson, stateToJson } from './state.ts';

/** What a machine is: a snapshot fits another one where all of this is the same. */
export interface MachineShape {
  /** Bytes of RAM, the devices' shared memory included. */
  readonly memorySize: number;
  readonly clock: 'real' | 'instructions';
  /** Harts. Absent: 1. */
  readonly cpus?: number;
  readonly devices: readonly DeviceShape[];
}

interface DeviceShape {
  readonly type: number;
  readonly features: readonly number[];
  readonly queueSizes: readonly number[];
  readonly configSize: number;
  /** Bytes of shared memory, the last ones of RAM. Absent: none. */
  readonly sharedMemory?: number;
}

export function shapeOf(board: Board, clock: MachineShape['clock']): MachineShape {
  return {
    memorySize: board.memory.size,
    clock,
    ...(board.crew && { cpus: board.crew.links.length }),
    devices: board.transports.map(({ device }) => ({
      type: device.type,
      features: device.features,
      queueSizes: device.queueSizes,
      configSize: device.config.length,
      ...(device.sharedMemory?.size && { sharedMemory: device.sharedMemory.size }),
    })),
  };
}

/**
 * Bytes of the devices' shared memory, by slot.
 *
 * @throws MachineError `MACHINE_SNAPSHOT_DAMAGED`
 */
export function windowsOf({ devices, memorySize }: MachineShape): readonly number[] {
  const windows = devices.map((device: Partial<DeviceShape> | null) => device?.sharedMemory ?? 0);
  if (!areWindows(windows, memorySize)) throw damaged('bad sizes of shared memory');
  return windows;
}

/** @throws MachineError `MACHINE_SNAPSHOT_FOREIGN` */
export function checkDevices(saved: MachineShape, board: Board): void {
  const here = shapeOf(board, saved.clock).devices;
  if (saved.devices.length !== here.length) {
    throw foreign(`it has ${saved.devices.length} devices, the machine ${here.length}`);
  }
  for (const [slot, device] of here.entries()) {
    if (JSON.stringify(device) === JSON.stringify(saved.devices[slot])) continue;
    throw foreign(`its device in slot ${slot} is another one than the machine's`);
  }
}

/** Whether no device has anything under way that a snapshot could not hold. */
export function isQuiet(board: Board): boolean {
  return board.transports.every((transport) => !transport.busy) && !board.uart.busy;
}

export function devicesToJson(board: Board): Json {
  const { clint, plic, uart, rtc, generation } = board;
  return {
    clint: stateToJson(clint.state),
    plic: stateToJson(plic.state),
    uart: stateToJson(uart.state),
    rtc: stateToJson(rtc.state),
    generation: stateToJson(generation.state),
    virtio: board.transports.map((transport) => stateToJson(transport.savedState())),
    ...(board.crew && { harts: stateToJson(board.crew.linkStates) }),
  };
}

/** @throws MachineError `MACHINE_SNAPSHOT_DAMAGED` */
export function devicesFromJson(board: Board, saved: Json): void {
  const { clint, plic, uart, rtc, generation } = board;
  const fields = fieldsOf(saved);
  // Files of before have none, and guests that do not know of it.
  const states = { clint, plic, uart, rtc, ...('generation' in fields && { generation }) };
  for (const [name, { state }] of Object.entries(states)) stateFromJson(state, fields[name], name);
  const virtio = fields['virtio'];
  if (!Array.isArray(virtio)) throw damaged('no state of virtio devices');
  for (const [slot, transport] of board.transports.entries()) {
    stateFromJson(transport.savedState(), virtio[slot], `virtio[${slot}]`);
    try {
      transport.restored();
    } catch (cause) {
      throw damaged(`the queues of device ${slot} do not lie in RAM`, cause);
    }
  }
  board.pci.remap();
  if (board.crew !== undefined) board.crew.linkStates = linkStatesOf(board.crew, fields['harts']);
}

function linkStatesOf(crew: Crew, saved: Json | undefined): readonly LinkState[] {
  if (!Array.isArray(saved) || saved.length !== crew.links.length) throw damaged('bad harts');
  const states = crew.linkStates;
  for (const [hart, state] of states.entries()) {
    stateFromJson(state, saved[hart], `harts[${hart}]`);
    const { status, lines, interrupt } = state;
    if (status > 2 || lines > 0xfff || interrupt > 1) throw damaged(`a bad state of hart ${hart}`);
  }
  return states;
}

function fieldsOf(saved: Json): Readonly<Record<string, Json>> {
  if (typeof saved !== 'object' || saved === null || Array.isArray(saved)) {
    throw damaged('no state of devices');
  }
  return saved as Readonly<Record<string, Json>>;
}
