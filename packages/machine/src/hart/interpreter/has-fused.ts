/**
 * In base64 what `probeModule` of `fused.ts` makes. Each start asks, and making it takes ten times as long as
 * running it.
 */
export const probe =
  'AGFzbQEAAAABDwJgA319fQF9YAN8fHwBfAIPAQNlbnYGbWVtb3J5AgABAwMCAAEHDQIDZjMyAAADZjY0AAEKPwIeAEEAIAA4AABBACoAAP0TIAH9EyAC/RP9hQL9HwALHgBBACAAOQAAQQArAAD9FCAB/RQgAv0U/YcC/SEACw==';

type MultiplyAdd = (a: number, b: number, c: number) => number;

/** Whether this host has relaxed SIMD and fuses it: (1 + e)² - (1 + 2e) is e², not 0. */
export async function hasFusedMultiplyAdd(): Promise<boolean> {
  const bytes = Uint8Array.from(atob(probe), (unit) => unit.charCodeAt(0));
  const memory = new WebAssembly.Memory({ initial: 1 });
  try {
    const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
    const { f32, f64 } = instance.exports as Record<'f32' | 'f64', MultiplyAdd>;
    return isFused(f32, 2 ** -20) && isFused(f64, 2 ** -40);
  } catch {
    return false;
  }
}

function isFused(multiplyAdd: MultiplyAdd, epsilon: number): boolean {
  return multiplyAdd(1 + epsilon, 1 + epsilon, -(1 + 2 * epsilon)) === epsilon * epsilon;
}
