import type { FloatName, FloatOperation, Precision } from '../../isa/ir.ts';

const names: readonly FloatName[] = [
  'add',
  'sub',
  'mul',
  'div',
  'sqrt',
  'madd',
  'msub',
  'nmsub',
  'nmadd',
  'min',
  'max',
  'eq',
  'lt',
  'le',
  'class',
  'convert',
  'toW',
  'toWU',
  'toL',
  'toLU',
  'fromW',
  'fromWU',
  'fromL',
  'fromLU',
];
const precisions: readonly Precision[] = ['s', 'd'];

/** Every operation, in the order of the numbers by which the interpreter asks for them. */
export const floatOperations: readonly { name: FloatName; precision: Precision }[] = names.flatMap(
  (name) => precisions.map((precision) => ({ name, precision })),
);

export function floatIndex({ name, precision }: FloatOperation): number {
  return names.indexOf(name) * 2 + precisions.indexOf(precision);
}
