import type { FunctionRef, ModuleBuilder, Signature } from '@anole/bytes/wasm';
import { compiledSignature } from '../jit/lookup.ts';

/** Functions of the interpreter that call each other, and what it imports from the host. */

const signatures = {
  /** (physical address, size) → value, or -1 where nothing answers. */
  busRead: { params: ['f64', 'i32'], results: ['f64'] },
  /** (physical address, size, value) → 1, or 0 where nothing answers. */
  busWrite: { params: ['f64', 'i32', 'i32'], results: ['i32'] },
  /** (number, action, reads, writes): source and result in CSR_VALUE → 1, or 0 where illegal. */
  csr: { params: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] },
  /** (physical address, size, TlbKind, whether by M) → 0 refused, 1 the page is allowed, 2 these bytes. */
  pmp: { params: ['i64', 'i32', 'i32', 'i32'], results: ['i32'] },
  /** (operation, rounding mode): arguments and result in the FLOAT slots. */
  float: { params: ['i32', 'i32'], results: [] },
  /** (index of a page of RAM): fills it, at its first touch. */
  fillPage: { params: ['i32'], results: [] },
  /** (place of an instruction) → 0 where it is compiled now, 1 where not, or not yet. */
  hot: { params: ['i32'], results: ['i32'] },
  /** (place of an instruction): its page is worth decoding. */
  warm: { params: ['i32'], results: [] },
  /** (place of an instruction): decodes it, and what follows. */
  decode: { params: ['i32'], results: [] },
  /** (index of a page of RAM): drops its compiled code, before the page is written. */
  codeWritten: { params: ['i32'], results: [] },
  /** Ticks, as the CSR `time` shows them. */
  time: { params: [], results: ['f64'] },
  /** What fence.i does where others write code, too. */
  fenceCode: { params: [], results: [] },
  wait: { params: [], results: [] },
  firmware: { params: [], results: [] },
} as const satisfies Record<string, Signature>;
export type ImportName = keyof typeof signatures;

const internal = {
  /** (cause, tval): takes an exception at PC, sets FAULT. */
  trap: { params: ['i32', 'i64'], results: [] },
  /** (cause with interrupt bit, tval, to S): common part of entries. */
  enter: { params: ['i64', 'i64', 'i32'], results: [] },
  /** Sets FETCH_MODE and DATA_MODE from MODE and MSTATUS. */
  updateModes: { params: [], results: [] },
  /** Takes the interrupt of the highest priority among those pending and enabled, if any. */
  interrupt: { params: [], results: [] },
  /** (number, action, writes), for what needs no host: → 1, or 0 where `csr` is to be asked. */
  quickCsr: { params: ['i32', 'i32', 'i32'], results: ['i32'] },
  returnFromS: { params: [], results: [] },
  returnFromM: { params: [], results: [] },
  /** (number of a table of the TLB, some of which is used). */
  emptyTable: { params: ['i32'], results: [] },
  flushAll: { params: [], results: [] },
  /** All that is not global. */
  flushSpace: { params: [], results: [] },
  /** (virtual address): of one page. */
  flushPage: { params: ['i64'], results: [] },
  /** (physical address in RAM): marks its page as touched, and has it filled the first time. */
  touch: { params: ['i64'], results: [] },
  /** (virtual address, TlbKind) → physical address; enters RAM pages into the TLB. */
  translate: { params: ['i64', 'i32'], results: ['i64'] },
  /** The same by the page table. */
  walk: { params: ['i64', 'i32'], results: ['i64'] },
  /** (virtual address, width, TlbKind) → place in this memory, for atomics; 0 after a trap. */
  atomicPlace: { params: ['i64', 'i32', 'i32'], results: ['i32'] },
  /** (virtual address, width) → value, zero-extended. */
  load: { params: ['i64', 'i32'], results: ['i64'] },
  loadPhysical: { params: ['i64', 'i32', 'i64'], results: ['i64'] },
  loadMisaligned: { params: ['i64', 'i32'], results: ['i64'] },
  /** (virtual address, width, value). */
  store: { params: ['i64', 'i32', 'i64'], results: [] },
  storePhysical: { params: ['i64', 'i32', 'i64', 'i64'], results: [] },
  storeMisaligned: { params: ['i64', 'i32', 'i64'], results: [] },
  /** (skip): executes until something needs another: see {@link ./fast.ts}. */
  fast: { params: ['i32'], results: ['i32'] },
  /** Executes one instruction, whatever it takes. */
  slow: { params: [], results: [] },
  run: { params: [], results: [] },
  /** For compiled code that is not in the table yet: see {@link ./run.ts}. */
  loadCode: compiledSignature,
  /** See {@link ../decoded/loop.ts}. */
  decoded: compiledSignature,
} as const satisfies Record<string, Signature>;
export type FunctionName = keyof typeof internal;

/** Exported functions: the ones that the host calls. */
const exported: ReadonlySet<FunctionName> = new Set<FunctionName>([
  'run',
  'updateModes',
  'flushAll',
  'flushSpace',
  'flushPage',
  'loadCode',
  'decoded',
]);

export type Helpers = Readonly<Record<ImportName | FunctionName, FunctionRef>>;

export const signatureOf = (name: FunctionName): Signature => internal[name];

/** Declares all of the above in `module`; bodies are defined afterwards. */
export function declareHelpers(module: ModuleBuilder): Helpers {
  const refs: Partial<Record<ImportName | FunctionName, FunctionRef>> = {};
  for (const [name, signature] of Object.entries(signatures)) {
    refs[name as ImportName] = module.importFunction(name, signature);
  }
  for (const [name, signature] of Object.entries(internal)) {
    const exportName = exported.has(name as FunctionName) ? name : undefined;
    refs[name as FunctionName] = module.declare(signature, exportName);
  }
  return refs as Helpers;
}

export type Define = (name: FunctionName, body: Parameters<ModuleBuilder['define']>[2]) => void;
