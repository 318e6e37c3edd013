import type { ByteSink } from '../devices/device.ts';
import type { GuestMemory } from '../hart/guest-memory.ts';
import type { Hart } from '../hart/hart.ts';
import { type Harts, type RemoteFence, selectHarts, translationFence } from './sbi-harts.ts';

/** What the firmware needs of the machine around the hart. */
export interface SbiHost {
  readonly memory: GuestMemory;
  readonly harts: Harts;
  /** Takes what a guest prints through DBCN. */
  readonly console: ByteSink;
  shutdown(): void;
  /** `failed` where the guest gave "system failure" as its reason. */
  reset(failed: boolean): void;
}

// RISC-V Supervisor Binary Interface Specification 2.0; each extension's chapter has its numbers.
const SPEC_VERSION = 2n << 24n;
/** Not among the registered implementation ids (table 4). */
const IMPLEMENTATION_ID = 0x616e_6f6cn;
const IMPLEMENTATION_VERSION = 1n;

const SUCCESS = 0n;
const NOT_SUPPORTED = -2n;
const INVALID_PARAM = -3n;
const INVALID_ADDRESS = -5n;
const ALREADY_AVAILABLE = -6n;

const RESET_SHUTDOWN = 0n;
const RESET_COLD = 1n;
const RESET_WARM = 2n;
const REASON_FAILURE = 1n;

/** The most that one DBCN call prints; the guest asks again for the rest. */
const MAX_PRINT = 0x1000;

interface Result {
  readonly error: bigint;
  readonly value?: bigint;
}

interface Call {
  readonly hart: Hart;
  readonly host: SbiHost;
  /** a6. */
  readonly fid: bigint;
  /** a0 to a5. */
  readonly arg: (index: number) => bigint;
}

type Extension = (call: Call) => Result;

const unsupported: Result = { error: NOT_SUPPORTED };
const done: Result = { error: SUCCESS };

/** By extension id. There are no legacy calls: Linux for riscv64 has left them. */
const extensions = new Map<bigint, Extension>([
  [0x10n, base],
  [0x5449_4d45n, timer],
  [0x73_5049n, softwareInterrupts],
  [0x5246_4e43n, remoteFences],
  [0x48_534dn, hartStates],
  [0x5352_5354n, systemReset],
  [0x4442_434en, debugConsole],
]);

/**
 * The machine's firmware as the hart calls it for an `ecall` from S-mode: BASE, TIME, IPI, RFENCE,
 * HSM, SRST and DBCN of SBI 2.0.
 */
export function sbiFirmware(host: SbiHost): (hart: Hart) => void {
  return (hart) => {
    const call: Call = {
      hart,
      host,
      fid: hart.readX(16),
      arg: (index) => hart.readX(10 + index),
    };
    const extension = extensions.get(hart.readX(17));
    const { error, value } = extension === undefined ? unsupported : extension(call);
    hart.writeX(10, BigInt.asUintN(64, error));
    hart.writeX(11, value ?? 0n);
  };
}

function base({ hart, fid, arg }: Call): Result {
  const values: Readonly<Record<string, () => bigint>> = {
    0: () => SPEC_VERSION,
    1: () => IMPLEMENTATION_ID,
    2: () => IMPLEMENTATION_VERSION,
    3: () => (extensions.has(arg(0)) ? 1n : 0n),
    // mvendorid, marchid, mimpid
    4: () => hart.readCsr(0xf11),
    5: () => hart.readCsr(0xf12),
    6: () => hart.readCsr(0xf13),
  };
  const value = values[String(fid)];
  return value === undefined ? unsupported : { error: SUCCESS, value: value() };
}

function timer({ hart, fid, arg }: Call): Result {
  if (fid !== 0n) return unsupported;
  hart.stimecmp = arg(0);
  return done;
}

function softwareInterrupts({ hart, host, fid, arg }: Call): Result {
  if (fid !== 0n) return unsupported;
  const selected = selectHarts(arg(0), arg(1), host.harts.count);
  if (selected === undefined) return { error: INVALID_PARAM };
  host.harts.interrupt(hart, selected);
  return done;
}

function remoteFences({ hart, host, fid, arg }: Call): Result {
  // 0 fence.i, 1 sfence.vma, 2 sfence.vma with an ASID; the others need the H extension.
  if (fid > 2n) return unsupported;
  const selected = selectHarts(arg(0), arg(1), host.harts.count);
  if (selected === undefined) return { error: INVALID_PARAM };
  const fence: RemoteFence =
    fid === 0n ? { kind: 'code' } : translationFence(arg(2), arg(3), fid === 1n ? 'all' : 'space');
  host.harts.fence(hart, selected, fence);
  return done;
}

function hartStates(call: Call): Result {
  const { hart, host, fid, arg } = call;
  switch (fid) {
    case 0n:
      return startHart(call);
    case 1n:
      // hart_stop of the only hart could never be undone.
      return host.harts.stop(hart) ? done : unsupported;
    case 2n: // hart_get_status
      if (!isHart(host, arg(0))) return { error: INVALID_PARAM };
      return { error: SUCCESS, value: BigInt(host.harts.status(Number(arg(0)))) };
    case 3n: // hart_suspend, retentive only: it may resume at once, and does
      return arg(0) === 0n ? done : unsupported;
    default:
      return unsupported;
  }
}

function startHart({ host, arg }: Call): Result {
  if (!isHart(host, arg(0))) return { error: INVALID_PARAM };
  const pc = arg(1);
  if ((pc & 1n) !== 0n || !host.memory.contains(Number(pc), 2)) return { error: INVALID_ADDRESS };
  const result = host.harts.start(Number(arg(0)), pc, arg(2));
  return result === 'started' ? done : { error: ALREADY_AVAILABLE };
}

function systemReset({ host, fid, arg }: Call): Result {
  if (fid !== 0n) return unsupported;
  const type = arg(0) & 0xffff_ffffn;
  const reason = arg(1) & 0xffff_ffffn;
  if (type === RESET_SHUTDOWN) host.shutdown();
  else if (type === RESET_COLD || type === RESET_WARM) host.reset(reason === REASON_FAILURE);
  else return { error: INVALID_PARAM };
  return done;
}

function debugConsole({ host, fid, arg }: Call): Result {
  if (fid === 2n) {
    host.console(Uint8Array.of(Number(arg(0) & 0xffn)));
    return done;
  }
  if (fid > 1n) return unsupported;
  const length = Math.min(Number(arg(0)), MAX_PRINT);
  const address = Number(arg(1));
  if (arg(2) !== 0n || !host.memory.contains(address, length)) {
    return { error: INVALID_PARAM };
  }
  // console_read: there is never anything to read; input comes through the serial port.
  if (fid === 1n) return { error: SUCCESS, value: 0n };
  host.console(host.memory.readable(address, length).slice());
  return { error: SUCCESS, value: BigInt(length) };
}

function isHart({ harts }: SbiHost, id: bigint): boolean {
  return id < BigInt(harts.count);
}
