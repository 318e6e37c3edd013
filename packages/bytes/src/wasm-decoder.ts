/** Bytes that a function may read or write beyond its input or output. */
export const SLACK = 64;
/** Input begins there; what lies before is the function's own. */
const PAGE = 65536;
/** Larger memory than this is not kept for the next call. */
const KEPT = 32 * 1024 * 1024;

/** Decodes; gives 0, or anything else where it could not. */
type DecodeFunction = (
  input: number,
  inputEnd: number,
  output: number,
  outputEnd: number,
  partial: number,
) => number;

/**
 * A decoder in WebAssembly: input and output are copied into and out of its memory, which costs a
 * tenth of the time that its loops save. Compiled at the first call.
 */
export class WasmDecoder {
  readonly #module: () => Uint8Array<ArrayBuffer>;
  readonly #reserved: number;
  #code: Uint8Array<ArrayBuffer> | undefined;
  #compiled: WebAssembly.Module | undefined;
  #memory: WebAssembly.Memory | undefined;
  #bytes: Uint8Array = new Uint8Array(0);
  #decode: DecodeFunction | undefined;
  #isMissing = false;

  /**
   * @param module makes the module, which imports `env.memory` and exports `decode`
   * @param reserved bytes at the beginning of the memory that the function uses for itself
   */
  constructor(module: () => Uint8Array<ArrayBuffer>, reserved = 0) {
    this.#module = module;
    this.#reserved = reserved;
  }

  /**
   * Fills `output`; false where it could not, be it that the input is damaged, or that this engine
   * runs no WebAssembly. What `output` holds then is not defined.
   */
  decode(input: Uint8Array, output: Uint8Array, partial: boolean): boolean {
    const start = this.#reserved;
    const to = (start + input.length + SLACK + 15) & ~15;
    if (!this.#prepare(to + output.length + SLACK)) return false;
    const bytes = this.#bytes;
    bytes.set(input, start);
    const end = to + output.length;
    const failed = this.#decode!(start, start + input.length, to, end, partial ? 1 : 0);
    if (failed === 0) output.set(bytes.subarray(to, end));
    if (bytes.length > KEPT) this.#drop();
    return failed === 0;
  }

  /** Makes the memory large enough. */
  #prepare(size: number): boolean {
    if (size <= this.#bytes.length && this.#decode !== undefined) return true;
    if (this.#isMissing) return false;
    const pages = Math.ceil(size / PAGE);
    // Not within the attempt: a mistake in making it must not pass for an engine without WebAssembly.
    this.#code ??= this.#module();
    try {
      if (this.#memory === undefined) this.#instantiate(pages, this.#code);
      else this.#memory.grow(pages - this.#bytes.length / PAGE);
      this.#bytes = new Uint8Array(this.#memory!.buffer);
      return true;
    } catch {
      // Forbidden by the page's policy, or no memory: there is another way.
      this.#isMissing = true;
      return false;
    }
  }

  #instantiate(pages: number, code: Uint8Array<ArrayBuffer>): void {
    this.#compiled ??= new WebAssembly.Module(code);
    const memory = new WebAssembly.Memory({ initial: pages });
    const { exports } = new WebAssembly.Instance(this.#compiled, { env: { memory } });
    this.#memory = memory;
    this.#decode = exports['decode'] as DecodeFunction;
  }

  #drop(): void {
    this.#memory = undefined;
    this.#decode = undefined;
    this.#bytes = new Uint8Array(0);
  }
}
