/** What a thread that compiles is asked by its port. */
export interface CompileOrder {
  readonly number: number;
  /** See {@link ./packed-regions.ts}. */
  readonly regions: Int32Array<ArrayBuffer>;
  /** See {@link ../interpreter/fused.ts}. */
  readonly fused: boolean;
}

export interface CompileAnswer {
  /** That of the order. */
  readonly number: number;
  /** Undefined where it could not be compiled. */
  readonly module: WebAssembly.Module | undefined;
  /** Milliseconds of a processor that it took. */
  readonly busy: number;
}

/** What the thread is started with. It answers, before all else, with what it makes of the proof. */
export interface CompileThreadOrder {
  readonly port: MessagePort;
  /** See {@link ./proof.ts}. */
  readonly proof: Int32Array<ArrayBuffer>;
}
