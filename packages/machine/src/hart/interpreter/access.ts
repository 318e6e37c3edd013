import {
  brIf,
  type Code,
  call,
  choose,
  get,
  i32,
  i64,
  type Local,
  label,
  loop,
  type MemoryOperator,
  op,
  ramLoad,
  ramStore,
  ret,
  set,
  tee,
  when,
} from '@anole/bytes/wasm';
import { ACCESS_SIZE, FAULT, TlbKind } from '../layout.ts';
import type { Define, Helpers } from './helpers.ts';
import { accessFault, isRam, ramPlace } from './physical.ts';
import { add32, add64, and64, extend, or64, setSlot32, shl64, slot32, wrap } from './slots.ts';

/** Loads and stores that the TLB did not answer: page tables, devices, misaligned addresses. */
export function defineAccess(define: Define, helpers: Helpers): void {
  defineLoads(define, helpers);
  defineStores(define, helpers);
  defineAtomicPlace(define, helpers);
}

/** By the flag, not by the address: without translation every 64 bits are one. */
const failed: Code = slot32(FAULT);

const misaligned = (address: Local, width: Local): Code =>
  op('i32.and', wrap(get(address)), op('i32.sub', get(width), i32(1)));

const widths = [1, 2, 4, 8] as const;
const loaders: Readonly<Record<number, MemoryOperator>> = {
  1: 'i64.load8_u',
  2: 'i64.load16_u',
  4: 'i64.load32_u',
  8: 'i64.load',
};
const storers: Readonly<Record<number, MemoryOperator>> = {
  1: 'i64.store8',
  2: 'i64.store16',
  4: 'i64.store32',
  8: 'i64.store',
};

const toF64 = (address: Code): Code => op('f64.convert_i64_u', address);

function defineLoads(define: Define, helpers: Helpers): void {
  define('load', (scope) => {
    const [address, width] = scope.params as [Local, Local];
    const physical = scope.local('i64');
    return [
      when(misaligned(address, width), ret(call(helpers.loadMisaligned, get(address), get(width)))),
      setSlot32(ACCESS_SIZE, get(width)),
      set(physical, call(helpers.translate, get(address), i32(TlbKind.read))),
      when(failed, ret(i64(0))),
      call(helpers.loadPhysical, get(physical), get(width), get(address)),
    ];
  });
  define('loadPhysical', (scope) => {
    const [physical, width, address] = scope.params as [Local, Local, Local];
    const value = scope.local('f64');
    const high = scope.local('f64');
    const read = (at: Code, size: Code): Code => call(helpers.busRead, toF64(at), size);
    const fault = [call(helpers.trap, i32(5), get(address)), ret(i64(0))];
    const isNegative = (of: Local): Code => when(op('f64.lt', get(of), F64_ZERO), fault);
    const integer = (of: Local): Code => and64(op('i64.trunc_sat_f64_s', get(of)), 0xffffffffn);
    return [
      when(
        isRam(get(physical)),
        widths.map((w) =>
          when(
            op('i32.eq', get(width), i32(w)),
            ret(ramLoad(loaders[w]!, ramPlace(get(physical)))),
          ),
        ),
      ),
      when(op('i32.eq', get(width), i32(8)), [
        set(value, read(get(physical), i32(4))),
        isNegative(value),
        set(high, read(add64(get(physical), i64(4)), i32(4))),
        isNegative(high),
        ret(or64(integer(value), shl64(integer(high), 32))),
      ]),
      set(value, read(get(physical), get(width))),
      isNegative(value),
      integer(value),
    ];
  });
  define('loadMisaligned', (scope) => {
    const [address, width] = scope.params as [Local, Local];
    const first = scope.local('i64');
    const second = scope.local('i64');
    const at = scope.local('i32');
    const value = scope.local('i64');
    const again = label('bytes');
    return [
      translateBoth(helpers, TlbKind.read, { address, width, first, second }, ret(i64(0))),
      set(at, get(width)),
      loop(
        again,
        set(at, op('i32.sub', get(at), i32(1))),
        set(
          value,
          or64(shl64(get(value), 8), ramLoad('i64.load8_u', bytePlace(address, at, first, second))),
        ),
        brIf(get(at), again),
      ),
      get(value),
    ];
  });
}

const F64_ZERO: Code = op('f64.convert_i32_s', i32(0));

function defineStores(define: Define, helpers: Helpers): void {
  define('store', (scope) => {
    const [address, width, value] = scope.params as [Local, Local, Local];
    const physical = scope.local('i64');
    return [
      when(misaligned(address, width), [
        call(helpers.storeMisaligned, get(address), get(width), get(value)),
        ret(),
      ]),
      setSlot32(ACCESS_SIZE, get(width)),
      set(physical, call(helpers.translate, get(address), i32(TlbKind.write))),
      when(failed, ret()),
      call(helpers.storePhysical, get(physical), get(width), get(value), get(address)),
    ];
  });
  define('storePhysical', (scope) => {
    const [physical, width, value, address] = scope.params as [Local, Local, Local, Local];
    const write = (at: Code, size: Code, what: Code): Code =>
      when(op('i32.eqz', call(helpers.busWrite, toF64(at), size, what)), [
        call(helpers.trap, i32(7), get(address)),
        ret(),
      ]);
    return [
      when(isRam(get(physical)), [
        widths.map((w) =>
          when(op('i32.eq', get(width), i32(w)), [
            ramStore(storers[w]!, ramPlace(get(physical)), get(value)),
            ret(),
          ]),
        ),
      ]),
      when(op('i32.eq', get(width), i32(8)), [
        write(get(physical), i32(4), wrap(get(value))),
        write(add64(get(physical), i64(4)), i32(4), wrap(op('i64.shr_u', get(value), i64(32)))),
        ret(),
      ]),
      write(get(physical), get(width), wrap(get(value))),
    ];
  });
  define('storeMisaligned', (scope) => {
    const [address, width, value] = scope.params as [Local, Local, Local];
    const first = scope.local('i64');
    const second = scope.local('i64');
    const at = scope.local('i32');
    const again = label('bytes');
    return [
      translateBoth(helpers, TlbKind.write, { address, width, first, second }, ret()),
      loop(
        again,
        ramStore('i64.store8', bytePlace(address, at, first, second), get(value)),
        set(value, op('i64.shr_u', get(value), i64(8))),
        brIf(op('i32.lt_u', tee(at, add32(get(at), i32(1))), get(width)), again),
      ),
    ];
  });
}

interface Misaligned {
  readonly address: Local;
  readonly width: Local;
  /** Physical address of the first byte, and of the page that the last byte is in. */
  readonly first: Local;
  readonly second: Local;
}

/** Translates both ends before anything is accessed. Devices take no misaligned access. */
function translateBoth(helpers: Helpers, kind: number, access: Misaligned, leave: Code): Code {
  const { address, width, first, second } = access;
  const last = and64(add64(get(address), extend(op('i32.sub', get(width), i32(1)))), -4096);
  const cause = kind === TlbKind.read ? 5 : 7;
  return [
    setSlot32(ACCESS_SIZE, i32(1)),
    set(first, call(helpers.translate, get(address), i32(kind))),
    when(failed, leave),
    set(second, and64(get(first), -4096)),
    when(op('i64.ne', last, and64(get(address), -4096)), [
      set(second, call(helpers.translate, last, i32(kind))),
      when(failed, leave),
    ]),
    when(op('i32.eqz', op('i32.and', isRam(get(first)), isRam(get(second)))), [
      call(helpers.trap, i32(cause), choose('i64', isRam(get(first)), last, get(address))),
      leave,
    ]),
  ];
}

/** Place of byte `at` of a misaligned access: on the first page, or on the second. */
function bytePlace(address: Local, at: Local, first: Local, second: Local): Code {
  const inPage = add32(op('i32.and', wrap(get(address)), i32(4095)), get(at));
  return choose(
    'i32',
    op('i32.lt_u', inPage, i32(4096)),
    add32(ramPlace(get(first)), get(at)),
    add32(ramPlace(get(second)), op('i32.and', inPage, i32(4095))),
  );
}

function defineAtomicPlace(define: Define, helpers: Helpers): void {
  define('atomicPlace', (scope) => {
    const [address, width, kind] = scope.params as [Local, Local, Local];
    const physical = scope.local('i64');
    return [
      when(misaligned(address, width), [
        call(helpers.trap, add32(i32(2), op('i32.shl', get(kind), i32(1))), get(address)),
        ret(i32(0)),
      ]),
      setSlot32(ACCESS_SIZE, get(width)),
      set(physical, call(helpers.translate, get(address), get(kind))),
      when(failed, ret(i32(0))),
      when(op('i32.eqz', isRam(get(physical))), [
        call(helpers.trap, accessFault(kind), get(address)),
        ret(i32(0)),
      ]),
      ramPlace(get(physical)),
    ];
  });
}
