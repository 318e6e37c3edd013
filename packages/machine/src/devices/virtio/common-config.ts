import type { AccessSize } from '../device.ts';
import type { Virtqueue } from './queue.ts';
import * as R from './registers.ts';

const C = R.COMMON;

/** What the registers set in motion. */
export interface CommonEvents {
  reset(): void;
  start(): void;
  fail(): void;
}

/** The common configuration structure: features, status and the queues' set-up. */
export class CommonConfig {
  readonly state = initialState();
  readonly #queues: readonly Virtqueue[];
  readonly #events: CommonEvents;
  /** Features offered, bits 0 to 63 in two words. */
  readonly #offered: readonly [number, number];

  constructor(queues: readonly Virtqueue[], features: readonly number[], events: CommonEvents) {
    this.#queues = queues;
    this.#events = events;
    const all = [...features, R.F_INDIRECT_DESC, R.F_EVENT_IDX, R.F_VERSION_1];
    const word = (base: number) =>
      all.reduce((bits, bit) => (bit >>> 5 === base ? bits | (1 << (bit & 31)) : bits), 0) >>> 0;
    this.#offered = [word(0), word(1)];
  }

  get live(): boolean {
    const { status } = this.state;
    return (status & R.STATUS_DRIVER_OK) !== 0 && (status & R.STATUS_NEEDS_RESET) === 0;
  }

  negotiated(feature: number): boolean {
    return ((this.state.accepted[feature >>> 5]! >>> (feature & 31)) & 1) === 1;
  }

  /** Breaks the device until the driver resets it (2.1.2). */
  fail(): void {
    this.state.status |= R.STATUS_NEEDS_RESET;
    this.#events.fail();
  }

  read(offset: number, size: AccessSize): number {
    const { state } = this;
    const queue = this.#queues[state.queueSelect];
    if (offset >= C.queueDesc && offset < C.end) return size === 4 ? this.#address(offset) : 0;
    switch (offset) {
      case C.deviceFeatureSelect:
        return state.deviceFeatureSelect;
      case C.deviceFeature:
        return this.#offered[state.deviceFeatureSelect] ?? 0;
      case C.driverFeatureSelect:
        return state.driverFeatureSelect;
      case C.driverFeature:
        return state.accepted[state.driverFeatureSelect] ?? 0;
      case C.configMsixVector:
      case C.queueMsixVector:
        return R.NO_VECTOR;
      case C.numQueues:
        return this.#queues.length;
      case C.deviceStatus:
        return state.status;
      case C.configGeneration:
        return state.configGeneration;
      case C.queueSelect:
        return state.queueSelect;
      case C.queueSize:
        return queue?.state.size ?? 0;
      case C.queueEnable:
        return queue?.state.enabled ? 1 : 0;
      case C.queueNotifyOff:
        return state.queueSelect;
      default:
        return 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    const { state } = this;
    if (offset >= C.queueDesc && offset < C.end) {
      if (size === 4) this.#setAddress(offset, value);
    } else if (offset === C.deviceFeatureSelect) state.deviceFeatureSelect = value;
    else if (offset === C.driverFeatureSelect) state.driverFeatureSelect = value;
    else if (offset === C.driverFeature) this.#accept(value);
    else if (offset === C.deviceStatus) this.#setStatus(value & 0xff);
    else if (offset === C.queueSelect) state.queueSelect = value & 0xffff;
    else if (offset === C.queueSize) this.#setSize(value & 0xffff);
    else if (offset === C.queueEnable && value === 1) this.#enable();
  }

  #accept(value: number): void {
    const { status, accepted, driverFeatureSelect } = this.state;
    if (status & R.STATUS_FEATURES_OK || driverFeatureSelect > 1) return;
    accepted[driverFeatureSelect] = value;
  }

  #setStatus(value: number): void {
    const { state } = this;
    if (value === 0) {
      Object.assign(state, initialState(), { configGeneration: state.configGeneration });
      this.#events.reset();
      return;
    }
    const wasLive = this.live;
    let next = value | (state.status & R.STATUS_NEEDS_RESET);
    // A set of features that cannot work is refused by not keeping FEATURES_OK (3.1.1).
    if (next & R.STATUS_FEATURES_OK && !this.#acceptable()) next &= ~R.STATUS_FEATURES_OK;
    if (!(next & R.STATUS_FEATURES_OK)) next &= ~R.STATUS_DRIVER_OK;
    state.status = next;
    if (!wasLive && this.live) this.#events.start();
  }

  #acceptable(): boolean {
    const [low, high] = this.state.accepted;
    const unknown = (low! & ~this.#offered[0]) | (high! & ~this.#offered[1]);
    return unknown === 0 && this.negotiated(R.F_VERSION_1);
  }

  #setSize(size: number): void {
    const queue = this.#queues[this.state.queueSelect];
    const powerOfTwo = size > 0 && (size & (size - 1)) === 0;
    if (queue === undefined || queue.state.enabled || !powerOfTwo || size > queue.maxSize) return;
    queue.state.size = size;
  }

  #enable(): void {
    const queue = this.#queues[this.state.queueSelect];
    const ready = (this.state.status & R.STATUS_FEATURES_OK) !== 0;
    if (queue === undefined || queue.state.enabled || !ready) return;
    try {
      queue.enable(this.negotiated(R.F_EVENT_IDX), this.negotiated(R.F_INDIRECT_DESC));
    } catch {
      this.fail();
    }
  }

  #address(offset: number): number {
    const state = this.#queues[this.state.queueSelect]?.state;
    if (state === undefined) return 0;
    const address = state[part(offset)];
    return offset & 4 ? Math.floor(address / 0x1_0000_0000) : address % 0x1_0000_0000;
  }

  #setAddress(offset: number, value: number): void {
    const state = this.#queues[this.state.queueSelect]?.state;
    if (state === undefined || state.enabled) return;
    const old = state[part(offset)];
    const low = old % 0x1_0000_0000;
    // 53 bits hold every address that can be RAM; one above is refused when the queue is enabled.
    const high = Math.min(value, 0x1f_ffff);
    state[part(offset)] = offset & 4 ? high * 0x1_0000_0000 + low : old - low + value;
  }
}

function part(offset: number): 'descriptors' | 'driver' | 'device' {
  if (offset < C.queueDriver) return 'descriptors';
  return offset < C.queueDevice ? 'driver' : 'device';
}

function initialState() {
  return {
    deviceFeatureSelect: 0,
    driverFeatureSelect: 0,
    accepted: new Uint32Array(2),
    status: 0,
    configGeneration: 0,
    queueSelect: 0,
  };
}
