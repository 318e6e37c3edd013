import type { Board } from '../platform/board.ts';
import { damaged, foreign } from './errors.ts';
import { type Json, stateFromJson, stateToJson } from './state.ts';

/** What a machine is: a snapshot fits another one where all of this is the same. */
export interface MachineShape {
  readonly memorySize: number;
  readonly clock: 'real' | 'instructions';
  readonly devices: readonly DeviceShape[];
}

interface DeviceShape {
  readonly type: number;
  readonly features: readonly number[];
  readonly queueSizes: readonly number[];
  readonly configSize: number;
}

export function shapeOf(board: Board, clock: MachineShape['clock']): MachineShape {
  return {
    memorySize: board.memory.size,
    clock,
    devices: board.transports.map(({ device }) => ({
      type: device.type,
      features: device.features,
      queueSizes: device.queueSizes,
      configSize: device.config.length,
    })),
  };
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
  return board.transports.every(({ device }) => device.busy !== true) && !board.uart.busy;
}

export function devicesToJson(board: Board): Json {
  const { clint, plic, uart, rtc } = board;
  return {
    clint: stateToJson(clint.state),
    plic: stateToJson(plic.state),
    uart: stateToJson(uart.state),
    rtc: stateToJson(rtc.state),
    virtio: board.transports.map((transport) => stateToJson(transport.savedState())),
  };
}

/** @throws MachineError `MACHINE_SNAPSHOT_DAMAGED` */
export function devicesFromJson(board: Board, saved: Json): void {
  const { clint, plic, uart, rtc } = board;
  const states = { clint, plic, uart, rtc };
  const fields = fieldsOf(saved);
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
}

function fieldsOf(saved: Json): Readonly<Record<string, Json>> {
  if (typeof saved !== 'object' || saved === null || Array.isArray(saved)) {
    throw damaged('no state of devices');
  }
  return saved as Readonly<Record<string, Json>>;
}
