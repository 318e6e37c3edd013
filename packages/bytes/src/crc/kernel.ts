import {
  br,
  type Code,
  get,
  i32,
  type Local,
  label,
  load,
  loop,
  ModuleBuilder,
  op,
  set,
  tee,
  when,
} from '../wasm/index.ts';
import { DATA, PAGES } from './layout.ts';

/**
 * `sum(crc, end)`: the register of a CRC after the bytes from {@link DATA} on, before `end`, which are so many times
 * eight and at least eight. What it makes is kept in `module-bytes.ts`: assembling it takes longer than a start sums.
 */
export function kernel(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder(PAGES);
  builder.function(
    { params: ['i32', 'i32'], results: ['i32'] },
    (scope) => {
      const [crc, end] = scope.params as [Local, Local];
      const [at, low, high] = [scope.local('i32'), scope.local('i32'), scope.local('i32')];
      const next = label('step');
      return [
        set(at, i32(DATA)),
        loop(
          next,
          set(low, op('i32.xor', get(crc), load('i32.load', get(at)))),
          set(high, load('i32.load', get(at), 4)),
          set(crc, xor(lookUp(low, 4), lookUp(high, 0))),
          when(op('i32.lt_u', tee(at, op('i32.add', get(at), i32(8))), get(end)), br(next)),
        ),
        get(crc),
      ];
    },
    'sum',
  );
  return builder.bytes();
}

const xor = (a: Code, b: Code): Code => op('i32.xor', a, b);

/** The bytes of a word, each in its table: the last one in `table`. */
const lookUp = (word: Local, table: number): Code =>
  [0, 8, 16, 24]
    .map((shift) => entry(word, shift, table + 3 - shift / 8))
    .reduce((sum, each) => xor(sum, each));

/** The entry of a table for the byte of a word that is so many bits up. */
function entry(word: Local, shift: number, table: number): Code {
  const moved =
    shift === 0 ? op('i32.shl', get(word), i32(2)) : op('i32.shr_u', get(word), i32(shift - 2));
  return load('i32.load', op('i32.and', moved, i32(0xff << 2)), table * 1024);
}
