/** A module of compiled code, in one hart: an instance of it is made when code of it is entered first. */
export class CodeModule {
  readonly module: WebAssembly.Module;
  readonly #env: WebAssembly.ModuleImports;
  #functions: WebAssembly.Exports | undefined;

  /** @param env memories and the table of functions of the hart */
  constructor(module: WebAssembly.Module, env: WebAssembly.ModuleImports) {
    this.module = module;
    this.#env = env;
  }

  /** @throws RangeError where the host has no room for an instance */
  function(number: number): () => void {
    this.#functions ??= new WebAssembly.Instance(this.module, { env: this.#env }).exports;
    return this.#functions[number] as () => void;
  }
}
