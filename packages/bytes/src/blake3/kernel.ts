import {
  br,
  type Code,
  get,
  i32,
  type Local,
  label,
  loop,
  ModuleBuilder,
  op,
  set,
  shuffle,
  tee,
  vectorLoad,
  vectorStore,
  when,
} from '../wasm/index.ts';
import { BLOCK_SIZE, initial, mixings, schedule, VALUE_SIZE } from './compress.ts';

/** Inputs that {@link kernel} hashes side by side: one in each lane of its vectors. */
export const LANES = 4;

const params = ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'] as const;

/**
 * `hash(input, stride, blocks, counter, step, first, last, output)`: the chaining values of four inputs
 * of whole blocks each, `stride` bytes apart, to `output` one after another. The flags of first and
 * last block are added where one block is both. `counter` is that of the first input, `step` what each
 * next one has more.
 */
export function kernel(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder(1);
  builder.function(
    { params, results: [] },
    (scope) => {
      const [input, stride, blocks, counter, step, first, last, output] = scope.params as Local[];
      const vectors = (count: number) => Array.from({ length: count }, () => scope.local('v128'));
      const [value, message, state] = [vectors(8), vectors(16), vectors(16)];
      const counters = scope.local('v128');
      const flag = scope.local('i32');
      const next = label('block');
      const isLast = op('i32.eq', get(blocks!), i32(1));
      return [
        set(counters, laneCounters(get(counter!), get(step!), get(output!))),
        value.map((local, word) => set(local, splat(initial[word]!))),
        set(flag, get(first!)),
        loop(
          next,
          when(isLast, set(flag, op('i32.or', get(flag), get(last!)))),
          gather(message, get(input!), get(stride!)),
          value.map((local, word) => set(state[word]!, get(local))),
          [0, 1, 2, 3].map((word) => set(state[8 + word]!, splat(initial[word]!))),
          set(state[12]!, get(counters)),
          set(state[13]!, splat(0)),
          set(state[14]!, splat(BLOCK_SIZE)),
          set(state[15]!, op('i32x4.splat', get(flag))),
          schedule.map((words) =>
            round(
              state,
              words.map((word) => message[word]!),
            ),
          ),
          value.map((local, word) =>
            set(local, op('v128.xor', get(state[word]!), get(state[word + 8]!))),
          ),
          set(flag, i32(0)),
          set(input!, op('i32.add', get(input!), i32(BLOCK_SIZE))),
          when(tee(blocks!, op('i32.sub', get(blocks!), i32(1))), br(next)),
        ),
        scatter(value, get(output!)),
      ];
    },
    'hash',
  );
  return builder.bytes();
}

const splat = (word: number): Code => op('i32x4.splat', i32(word));

/** The counters of the four inputs, put together in the memory that the result will take. */
function laneCounters(counter: Code, step: Code, output: Code): Code {
  const lanes = [0, 1, 2, 3].map((lane) => {
    const at = op('i32.add', output, i32(lane * 4));
    const value = op('i32.add', counter, op('i32.mul', step, i32(lane)));
    return [at, value, [0x36, 0, 0]] as Code;
  });
  return [lanes, vectorLoad(output)];
}

function round(state: readonly Local[], message: readonly Local[]): Code {
  return mixings.map((places, index) => {
    const [a, b, c, d] = places.map((place) => state[place]!) as [Local, Local, Local, Local];
    return mix(a, b, c, d, message[index * 2]!, message[index * 2 + 1]!);
  });
}

function mix(a: Local, b: Local, c: Local, d: Local, x: Local, y: Local): Code {
  const half = (word: Local, one: number, other: number): Code => [
    set(a, op('i32x4.add', op('i32x4.add', get(a), get(b)), get(word))),
    rotated(d, a, one),
    set(c, op('i32x4.add', get(c), get(d))),
    rotated(b, c, other),
  ];
  return [half(x, 16, 12), half(y, 8, 7)];
}

/** `to = (to ^ by) >>> bits | …`, by bytes where the bits are whole ones. */
function rotated(to: Local, by: Local, bits: number): Code {
  const mixed = op('v128.xor', get(to), get(by));
  if (bits % 8 === 0) {
    const order = Array.from({ length: 16 }, (_, index) => (index & 12) | ((index + bits / 8) & 3));
    return [set(to, mixed), set(to, shuffle(get(to), get(to), order))];
  }
  return [
    set(to, mixed),
    set(
      to,
      op(
        'v128.or',
        op('i32x4.shr_u', get(to), i32(bits)),
        op('i32x4.shl', get(to), i32(32 - bits)),
      ),
    ),
  ];
}

const lowWords = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const highWords = lowWords.map((byte) => byte + 8);
const lowPairs = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const highPairs = lowPairs.map((byte) => byte + 8);

/** Turns four vectors, of one input each, into four of one word each; or back. */
function transpose(rows: readonly Local[]): Code {
  const [a, b, c, d] = rows as [Local, Local, Local, Local];
  // On the stack, in the order in which they are set at the end, the last one first.
  const low = (x: Local, y: Local) => shuffle(get(x), get(y), lowWords);
  const high = (x: Local, y: Local) => shuffle(get(x), get(y), highWords);
  return [
    shuffle(low(a, b), low(c, d), lowPairs),
    shuffle(low(a, b), low(c, d), highPairs),
    shuffle(high(a, b), high(c, d), lowPairs),
    shuffle(high(a, b), high(c, d), highPairs),
    [d, c, b, a].map((local) => [0x21, local.index] as Code),
  ];
}

function gather(message: readonly Local[], input: Code, stride: Code): Code {
  return [0, 4, 8, 12].map((word) => {
    const rows = message.slice(word, word + 4);
    const loads = rows.map((local, lane) => {
      const at = op('i32.add', input, op('i32.mul', stride, i32(lane)));
      return set(local, vectorLoad(at, word * 4));
    });
    return [loads, transpose(rows)];
  });
}

function scatter(value: readonly Local[], output: Code): Code {
  return [0, 4].map((word) => {
    const rows = value.slice(word, word + 4);
    const stores = rows.map((local, lane) =>
      vectorStore(output, get(local), lane * VALUE_SIZE + word * 4),
    );
    return [transpose(rows), stores];
  });
}
