import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 take more calls of a function for a reason to compile it with its slowest compiler, where a command mostly
 * ends before that pays; in threads, too. Loops are left as they are. To be called before that work begins.
 *
 * @param calls V8 itself has 3000
 */
export function optimizeLate(calls = 30_000): void {
  // See docs/decisions/0254-optimized-late.md.
  setFlagsFromString(`--invocation-count-for-turbofan=${calls}`);
}
