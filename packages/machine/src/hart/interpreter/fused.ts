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

/** The module of `has-fused.ts`: functions `f32` and `f64` that multiply and add three numbers. */
export function probeModule(): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder(1);
  for (const type of ['f32', 'f64'] as const) {
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
      type,
    );
  }
  return builder.bytes();
}
