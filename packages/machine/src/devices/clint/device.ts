import { type Hart, Interrupt } from '../../hart/hart.ts';
import type { AccessSize, MmioDevice } from '../device.ts';
import { MSIP, MTIME, MTIMECMP } from './registers.ts';

/** What the device needs of a hart; the comparator and the clock are the hart's own. */
export type ClintHart = Pick<Hart, 'mtimecmp' | 'time' | 'setInterrupt'>;

/** Machine-mode timer and software interrupt, for programs that run without an SBI. */
export class Clint implements MmioDevice {
  readonly state = { msip: 0 };
  readonly #hart: ClintHart;

  constructor(hart: ClintHart) {
    this.#hart = hart;
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    if (offset === MSIP) return this.state.msip;
    if (offset === MTIMECMP || offset === MTIMECMP + 4) return word(this.#hart.mtimecmp, offset);
    return offset === MTIME || offset === MTIME + 4 ? word(this.#hart.time, offset) : 0;
  }

  /** `mtime` is not writable: it belongs to the machine's clock. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (offset === MSIP) {
      this.state.msip = value & 1;
      this.#hart.setInterrupt(Interrupt.machineSoftware, this.state.msip === 1);
    } else if (offset === MTIMECMP) {
      this.#hart.mtimecmp = (this.#hart.mtimecmp & 0xffff_ffff_0000_0000n) | BigInt(value);
    } else if (offset === MTIMECMP + 4) {
      this.#hart.mtimecmp = (this.#hart.mtimecmp & 0xffff_ffffn) | (BigInt(value) << 32n);
    }
  }
}

function word(value: bigint, offset: number): number {
  return Number((offset & 4 ? value >> 32n : value) & 0xffff_ffffn);
}
