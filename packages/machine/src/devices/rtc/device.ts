import type { AccessSize, InterruptLine, MmioDevice } from '../device.ts';
import {
  ALARM_HIGH,
  ALARM_LOW,
  ALARM_STATUS,
  CLEAR_ALARM,
  CLEAR_INTERRUPT,
  IRQ_ENABLED,
  TIME_HIGH,
  TIME_LOW,
} from './registers.ts';

/** Goldfish real-time clock: wall-clock time, settable by the guest, and one alarm. */
export class Rtc implements MmioDevice {
  readonly state = {
    /** Nanoseconds that the guest set its clock ahead of the host's. */
    offset: 0n,
    latchedHigh: 0,
    writtenHigh: 0,
    alarmHigh: 0,
    /** Nanoseconds since 1970 by the guest's clock. */
    alarm: 0n,
    armed: false,
    irqEnabled: false,
    irqPending: false,
  };
  readonly #now: () => number;
  readonly #line: InterruptLine;

  /** @param now milliseconds since 1970, as `Date.now` gives them */
  constructor(now: () => number, line: InterruptLine) {
    this.#now = now;
    this.#line = line;
  }

  /** Milliseconds until the alarm is due (0 when overdue), or undefined when none is armed. */
  get untilAlarm(): number | undefined {
    if (!this.state.armed) return undefined;
    return Math.max(0, Number(this.state.alarm - this.#guestTime()) / 1e6);
  }

  /** Fires the alarm when it is due. The machine calls it between slices. */
  poll(): void {
    if (!this.state.armed || this.state.alarm > this.#guestTime()) return;
    this.state.armed = false;
    this.state.irqPending = true;
    this.#update();
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    const { state } = this;
    switch (offset) {
      case TIME_LOW: {
        const time = this.#guestTime();
        state.latchedHigh = Number((time >> 32n) & 0xffff_ffffn);
        return Number(time & 0xffff_ffffn);
      }
      case TIME_HIGH:
        return state.latchedHigh;
      case ALARM_LOW:
        return Number(state.alarm & 0xffff_ffffn);
      case ALARM_HIGH:
        return Number((state.alarm >> 32n) & 0xffff_ffffn);
      case IRQ_ENABLED:
        return state.irqEnabled ? 1 : 0;
      case ALARM_STATUS:
        return state.armed ? 1 : 0;
      default:
        return 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    const { state } = this;
    if (offset === TIME_HIGH) state.writtenHigh = value;
    else if (offset === TIME_LOW) {
      state.offset += join(state.writtenHigh, value) - this.#guestTime();
    } else if (offset === ALARM_HIGH) state.alarmHigh = value;
    else if (offset === ALARM_LOW) {
      state.alarm = join(state.alarmHigh, value);
      state.armed = true;
      this.poll();
    } else if (offset === IRQ_ENABLED) state.irqEnabled = (value & 1) === 1;
    else if (offset === CLEAR_ALARM) state.armed = false;
    else if (offset === CLEAR_INTERRUPT) state.irqPending = false;
    this.#update();
  }

  #guestTime(): bigint {
    return BigInt(Math.round(this.#now() * 1000)) * 1000n + this.state.offset;
  }

  #update(): void {
    this.#line(this.state.irqPending && this.state.irqEnabled);
  }
}

function join(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
