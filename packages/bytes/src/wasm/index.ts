/**
 * WebAssembly modules written by this process: for code that is generated (the machine) and for
 * inner loops that the JavaScript engine would not make fast (codecs).
 *
 * @example
 * import { get, ModuleBuilder, op } from '@anole/bytes/wasm';
 * const builder = new ModuleBuilder(1);
 * const signature = { params: ['i32', 'i32'], results: ['i32'] } as const;
 * builder.function(signature, ({ params: [a, b] }) => op('i32.add', get(a!), get(b!)), 'add');
 * const memory = new WebAssembly.Memory({ initial: 1 });
 * const { instance } = await WebAssembly.instantiate(builder.bytes(), { env: { memory } });
 */
export { assembleTemplate } from './assemble.ts';
export {
  atomicFence,
  block,
  br,
  brIf,
  brTable,
  type Code,
  call,
  callIndirect,
  choose,
  type FunctionRef,
  f32,
  f64,
  fill,
  get,
  i32,
  i32Hole,
  i64,
  i64Hole,
  type Label,
  type Local,
  label,
  lane,
  load,
  localHole,
  loop,
  memoryCopy,
  memoryFill,
  op,
  ramAtomic,
  ramLoad,
  ramStore,
  ret,
  set,
  shuffle,
  store,
  type Template,
  type TypeRef,
  tailCall,
  tailCallIndirect,
  tee,
  vectorLoad,
  vectorStore,
  when,
} from './code.ts';
export { compileKernel, type KernelMemory } from './kernel/kernel.ts';
export { type FunctionScope, ModuleBuilder, type Signature } from './module.ts';
export {
  type AtomicOperator,
  type MemoryOperator,
  memoryOpcodes,
  type Operator,
  opcodes,
  type ValueType,
} from './opcodes.ts';
