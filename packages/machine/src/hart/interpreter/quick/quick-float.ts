import { br, type Code } from '@anole/bytes/wasm';
import type { FloatOperation } from '../../../isa/ir.ts';
import { QuickArithmetic } from './arithmetic.ts';
import { QuickConversions } from './conversions.ts';
import type { QuickContext } from './kit.ts';

/** Code for an operation by the host's arithmetic, leaving its result as i64: see {@link ./kit.ts}. */
export function quickFloat(
  operation: FloatOperation,
  args: readonly Code[],
  context: QuickContext,
): Code {
  const quick = new QuickArithmetic(operation.precision, context);
  const conversions = new QuickConversions(operation.precision, context);
  const [a = [], b = [], c = []] = args;
  switch (operation.name) {
    case 'add':
    case 'sub':
      return quick.sum(operation.name, a, b);
    case 'mul':
      return quick.product(a, b);
    case 'div':
      return quick.quotient(a, b);
    case 'sqrt':
      return quick.root(a);
    case 'madd':
    case 'msub':
    case 'nmsub':
    case 'nmadd':
      return quick.multiplyAdd(operation.name, a, b, c);
    case 'min':
    case 'max':
      return quick.pick(operation.name === 'min' ? 'lt' : 'gt', a, b);
    case 'eq':
    case 'lt':
    case 'le':
      return quick.compare(operation.name, a, b);
    case 'convert':
      return operation.precision === 'd' ? conversions.widen(a) : conversions.narrow(a);
    case 'toW':
    case 'toWU':
    case 'toL':
    case 'toLU':
      return conversions.toInteger(operation.name, a);
    case 'fromW':
    case 'fromWU':
    case 'fromL':
    case 'fromLU':
      return conversions.fromInteger(operation.name, a);
    case 'class':
      return br(context.slow);
  }
}
