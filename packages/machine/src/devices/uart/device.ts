import type { AccessSize, ByteSink, InterruptLine, MmioDevice } from '../device.ts';
import * as R from './registers.ts';

/** Receiver trigger levels by FCR bits 7:6. */
const triggerLevels = [1, 4, 8, 14] as const;

/**
 * A 16550A serial port. It sends at once, so the transmitter is always empty; received bytes wait
 * outside the FIFO until the guest makes room, so nothing is lost.
 */
export class Uart implements MmioDevice {
  readonly state = {
    ier: 0,
    lcr: 0,
    mcr: 0,
    scr: 0,
    divisor: 0,
    fifoEnabled: false,
    trigger: 1,
    overrun: false,
    /** The transmitter became empty and the guest has not been told. */
    txEmptyPending: false,
    receive: [] as number[],
  };
  /** Bytes from outside that the FIFO has no room for yet. */
  readonly #waiting: { bytes: Uint8Array; at: number; done: () => void }[] = [];
  #stopped = false;
  readonly #send: ByteSink;
  readonly #line: InterruptLine;
  readonly #byte = new Uint8Array(1);

  constructor(send: ByteSink, line: InterruptLine) {
    this.#send = send;
    this.#line = line;
  }

  /**
   * Sends bytes to the guest. Resolves when the FIFO took the last one, so that a caller who waits
   * holds one chunk at a time; once the machine ended, the rest is dropped.
   */
  receive(bytes: Uint8Array): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((done) => {
      this.#waiting.push({ bytes: bytes.slice(), at: 0, done });
      this.#fill();
    });
  }

  /** Bytes from outside wait, which no snapshot could hold. */
  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  /** The machine ended: nobody reads any more. */
  stop(): void {
    this.#stopped = true;
    for (const { done } of this.#waiting.splice(0)) done();
  }

  read(offset: number, size: AccessSize): number {
    if (size !== 1) return 0;
    const { state } = this;
    const divisorLatch = (state.lcr & R.LCR_DLAB) !== 0;
    switch (offset) {
      case R.RBR_THR_DLL:
        return divisorLatch ? state.divisor & 0xff : this.#takeByte();
      case R.IER_DLM:
        return divisorLatch ? state.divisor >> 8 : state.ier;
      case R.IIR_FCR:
        return this.#readCause();
      case R.LCR:
        return state.lcr;
      case R.MCR:
        return state.mcr;
      case R.LSR:
        return this.#readLineStatus();
      case R.MSR:
        return this.#modemStatus();
      case R.SCR:
        return state.scr;
      default:
        return 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 1) return;
    const { state } = this;
    const divisorLatch = (state.lcr & R.LCR_DLAB) !== 0;
    if (offset === R.RBR_THR_DLL) {
      if (divisorLatch) state.divisor = (state.divisor & 0xff00) | value;
      else this.#transmit(value);
    } else if (offset === R.IER_DLM) {
      if (divisorLatch) state.divisor = (state.divisor & 0xff) | (value << 8);
      else this.#enableInterrupts(value);
    } else if (offset === R.IIR_FCR) this.#controlFifo(value);
    else if (offset === R.LCR) state.lcr = value;
    else if (offset === R.MCR) state.mcr = value & R.MCR_MASK;
    else if (offset === R.SCR) state.scr = value;
    this.#update();
  }

  #transmit(value: number): void {
    const { state } = this;
    if (state.mcr & R.MCR_LOOP) {
      if (state.receive.length < this.#capacity) state.receive.push(value);
      else state.overrun = true;
    } else {
      this.#byte[0] = value;
      this.#send(this.#byte);
    }
    state.txEmptyPending = true;
  }

  #enableInterrupts(value: number): void {
    const { state } = this;
    const rising = value & ~state.ier;
    state.ier = value & R.IER_MASK;
    // Enabling the interrupt while the transmitter is empty raises it (PC16550D, section 8.5).
    if (rising & R.IER_TX_EMPTY) state.txEmptyPending = true;
  }

  #controlFifo(value: number): void {
    const { state } = this;
    const enabled = (value & R.FCR_ENABLE) !== 0;
    if (enabled !== state.fifoEnabled || value & R.FCR_CLEAR_RX) state.receive.length = 0;
    state.fifoEnabled = enabled;
    state.trigger = enabled ? triggerLevels[(value >> 6) & 3]! : 1;
    this.#fill();
  }

  get #capacity(): number {
    return this.state.fifoEnabled ? R.FIFO_SIZE : 1;
  }

  #takeByte(): number {
    const byte = this.state.receive.shift() ?? 0;
    this.#fill();
    return byte;
  }

  #fill(): void {
    const { receive } = this.state;
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      while (head.at < head.bytes.length && receive.length < this.#capacity) {
        receive.push(head.bytes[head.at++]!);
      }
      if (head.at < head.bytes.length) break;
      this.#waiting.shift();
      head.done();
    }
    this.#update();
  }

  #readCause(): number {
    const cause = this.#cause();
    if (cause === R.IIR_TX_EMPTY) this.state.txEmptyPending = false;
    this.#update();
    return cause | (this.state.fifoEnabled ? R.IIR_FIFO : 0);
  }

  /** The pending interrupt of highest priority, as IIR encodes it. */
  #cause(): number {
    const { ier, overrun, receive, trigger, txEmptyPending } = this.state;
    if (ier & R.IER_LINE && overrun) return R.IIR_LINE;
    if (ier & R.IER_RX && receive.length >= trigger) return R.IIR_RX;
    // No clock runs between bytes, so what waits below the trigger level has timed out at once.
    if (ier & R.IER_RX && receive.length > 0) return R.IIR_RX_TIMEOUT;
    return ier & R.IER_TX_EMPTY && txEmptyPending ? R.IIR_TX_EMPTY : R.IIR_NONE;
  }

  #readLineStatus(): number {
    const { state } = this;
    const overrun = state.overrun ? R.LSR_OVERRUN : 0;
    state.overrun = false;
    this.#update();
    return R.LSR_TX_EMPTY | overrun | (state.receive.length > 0 ? R.LSR_DATA_READY : 0);
  }

  #modemStatus(): number {
    const { mcr } = this.state;
    if (!(mcr & R.MCR_LOOP)) return R.MSR_READY;
    // Looped back: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
    return ((mcr & 2) << 3) | ((mcr & 1) << 5) | ((mcr & 4) << 4) | ((mcr & 8) << 4);
  }

  #update(): void {
    this.#line(this.#cause() !== R.IIR_NONE);
  }
}
