import type { ByteSink } from './devices/device.ts';
import type { PowerRequest } from './devices/power/device.ts';
import { VirtioConsole } from './devices/virtio-console/device.ts';
import { jitOptions } from './hart/jit/options.ts';
import type { MachineExit, MachineOptions } from './machine-options.ts';
import { Board, type BoardOptions } from './platform/board.ts';
import { PanicWatch } from './platform/panic-watch.ts';

/** How the end of a run comes about: by the guest, by the owner, or by a device that failed. */
export class Control {
  end: MachineExit | undefined;
  failure: { readonly error: unknown } | undefined;
  wake: () => void = () => {};
  interrupt: () => void = () => {};

  power(request: PowerRequest): void {
    this.finish(
      request.kind === 'reboot' ? { reason: 'reboot' } : { reason: 'poweroff', code: request.code },
    );
  }

  fault(error: unknown): void {
    this.failure ??= { error };
    this.finish({ reason: 'stopped' });
  }

  finish(end: MachineExit): void {
    this.end ??= end;
    this.interrupt();
    this.wake();
  }
}

type BoardMemory = Pick<
  BoardOptions,
  'memorySize' | 'windows' | 'clock' | 'fill' | 'startTicks' | 'cpus'
>;

/** A board, and what watches it. */
export async function buildMachine(
  { devices = [], onSerial, jit }: Pick<MachineOptions, 'devices' | 'onSerial' | 'jit'>,
  memory: BoardMemory,
) {
  const panic = new PanicWatch();
  const control = new Control();
  const serial: ByteSink = (bytes) => {
    panic.feed(bytes);
    onSerial?.(bytes);
  };
  const options = {
    ...memory,
    firmware: true,
    devices,
    onSerial: serial,
    ...jitOptions(jit),
  };
  const board = await Board.create(options, control);
  for (const device of devices) {
    if (device instanceof VirtioConsole) device.observe = (bytes) => panic.feed(bytes);
  }
  return { board, panic, control };
}
