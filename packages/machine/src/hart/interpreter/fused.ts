import {
  type Code,
  get,
  i32,
  type Local,
  lane,
  load,
  ModuleBuilder,
  op,
  store,
} from '@anole/bytes/wasm';

/**
 * a × b + c by relaxed SIMD, which rounds once or twice as the host likes (always the same way on
 * one host): fused on x86-64 with FMA3 and on arm64.
 */
export function relaxedMultiplyAdd(type: 'f32' | 'f64', a: Code, b: Code, c: Code): Code {
  const shape = type === 'f32' ? 'f32x4' : 'f64x2';
  const splat = (value: Code): Code => op(`${shape}.splat`, value);
  return lane(
    `${shape}.extract_lane`,
    op(`${shape}.relaxed_madd`, splat(a), splat(b), splat(c)),
    0,
  );
}

/** Whether this host has relaxed SIMD and fuses it: (1 + e)² - (1 + 2e) is e², not 0. */
export async function hasFusedMultiplyAdd(): Promise<boolean> {
  try {
    return (await rounded('f32', 2 ** -20)) && (await rounded('f64', 2 ** -40));
  } catch {
    return false;
  }
}

async function rounded(type: 'f32' | 'f64', epsilon: number): Promise<boolean> {
  const builder = new ModuleBuilder(1);
  builder.function(
    { params: [type, type, type], results: [type] },
    ({ params }) => {
      const [a, b, c] = params as [Local, Local, Local];
      // Through memory, so that no compiler computes it beforehand by other means.
      return [
        store(`${type}.store`, i32(0), get(a)),
        relaxedMultiplyAdd(type, load(`${type}.load`, i32(0)), get(b), get(c)),
      ];
    },
    'multiplyAdd',
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { instance } = await WebAssembly.instantiate(builder.bytes(), { env: { memory } });
  const multiplyAdd = instance.exports['multiplyAdd'] as (
    a: number,
    b: number,
    c: number,
  ) => number;
  return multiplyAdd(1 + epsilon, 1 + epsilon, -(1 + 2 * epsilon)) === epsilon * epsilon;
}
