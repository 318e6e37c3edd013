/** What a thread that compiles is asked by its port, and what it answers, in the same order. */
export interface CompileOrder {
  /** See {@link ./packed-regions.ts}. */
  readonly regions: Int32Array<ArrayBuffer>;
  /** See {@link ../interpreter/fused.ts}. */
  readonly fused: boolean;
}

export interface CompileAnswer {
  /** Undefined where the host's compiler refused it. */
  readonly module: WebAssembly.Module | undefined;
  /** Milliseconds of a processor that it took. */
  readonly busy: number;
}

/** What the thread is started with. */
export interface CompileThreadOrder {
  readonly port: MessagePort;
}
