import type { AccessSize, MmioDevice } from '../device.ts';
import { FAIL, PASS, RESET } from './registers.ts';

export type PowerRequest =
  | { readonly kind: 'poweroff' /** 0 unless a failure was reported. */; readonly code: number }
  | { readonly kind: 'reboot' };

/** The register that powers the machine off or resets it. */
export class Power implements MmioDevice {
  readonly #request: (request: PowerRequest) => void;

  constructor(request: (request: PowerRequest) => void) {
    this.#request = request;
  }

  read(): number {
    return 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset !== 0 || size === 1) return;
    const kind = value & 0xffff;
    if (kind === PASS) this.#request({ kind: 'poweroff', code: 0 });
    else if (kind === FAIL) this.#request({ kind: 'poweroff', code: value >>> 16 });
    else if (kind === RESET) this.#request({ kind: 'reboot' });
  }
}
