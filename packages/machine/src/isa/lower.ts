import {
  type Code,
  choose,
  get,
  i32,
  i64,
  type Local,
  op,
  set,
  type ValueType,
} from '@anole/bytes/wasm';
import type {
  CsrAction,
  Expr,
  FloatOperation,
  MemoryUpdate,
  Stmt,
  SystemAction,
  Temporary,
  Width,
} from './ir.ts';

/** What a back end makes of the guest's nodes. Arguments are code of values already lowered. */
export interface BackEnd {
  local(type: ValueType): Local;
  x(operand: 'rs1' | 'rs2'): Code;
  f(operand: 'rs1' | 'rs2' | 'rs3'): Code;
  immediate(): Code;
  pc(): Code;
  next(): Code;
  load(width: Width, signed: boolean, address: Code): Code;
  update(update: MemoryUpdate, address: Code, value: Code): Code;
  float(operation: FloatOperation, args: readonly Code[]): Code;
  setX(value: Code): Code;
  setF(value: Code): Code;
  store(width: Width, address: Code, value: Code): Code;
  jump(target: Code): Code;
  /** To pc + immediate. */
  jumpRelative(): Code;
  branch(condition: Code): Code;
  needsFloat(): Code;
  csr(action: CsrAction, source: Code): Code;
  system(action: SystemAction): Code;
}

/** The semantics of one instruction as code. It falls through at its end unless it jumped. */
export function lower(semantics: readonly Stmt[], backEnd: BackEnd): Code {
  const temporaries = new Map<Temporary, Local>();
  return semantics.map((stmt) => lowerStmt(stmt, backEnd, temporaries));
}

function lowerStmt(stmt: Stmt, backEnd: BackEnd, temporaries: Map<Temporary, Local>): Code {
  const value = (expr: Expr): Code => lowerExpr(expr, backEnd, temporaries);
  switch (stmt.kind) {
    case 'let': {
      const local = backEnd.local(stmt.temporary.type);
      const code = set(local, value(stmt.value));
      temporaries.set(stmt.temporary, local);
      return code;
    }
    case 'setX':
      return backEnd.setX(value(stmt.value));
    case 'setF':
      return backEnd.setF(value(stmt.value));
    case 'store':
      return backEnd.store(stmt.width, value(stmt.address), value(stmt.value));
    case 'jump':
      return isRelative(stmt.target) ? backEnd.jumpRelative() : backEnd.jump(value(stmt.target));
    case 'branch':
      return backEnd.branch(value(stmt.condition));
    case 'needsFloat':
      return backEnd.needsFloat();
    case 'csr':
      return backEnd.csr(stmt.action, value(stmt.source));
    case 'system':
      return backEnd.system(stmt.action);
  }
}

/** Whether a jump goes to pc + immediate. */
export function isRelative(target: Expr): boolean {
  return (
    target.kind === 'op' &&
    target.name === 'i64.add' &&
    target.args[0]?.kind === 'pc' &&
    target.args[1]?.kind === 'immediate'
  );
}

function lowerExpr(expr: Expr, backEnd: BackEnd, temporaries: Map<Temporary, Local>): Code {
  const value = (inner: Expr): Code => lowerExpr(inner, backEnd, temporaries);
  switch (expr.kind) {
    case 'constant':
      return expr.type === 'i64' ? i64(expr.value) : i32(Number(expr.value));
    case 'op':
      return op(expr.name, ...expr.args.map(value));
    case 'x':
      return backEnd.x(expr.operand);
    case 'f':
      return backEnd.f(expr.operand);
    case 'immediate':
      return backEnd.immediate();
    case 'pc':
      return backEnd.pc();
    case 'next':
      return backEnd.next();
    case 'temporary':
      return get(temporaries.get(expr.temporary)!);
    case 'select':
      return op('select', value(expr.then), value(expr.otherwise), value(expr.condition));
    case 'choose':
      return choose(expr.type, value(expr.condition), value(expr.then), value(expr.otherwise));
    case 'load':
      return backEnd.load(expr.width, expr.signed, value(expr.address));
    case 'loadReserved':
      return backEnd.update(expr, value(expr.address), []);
    case 'storeConditional':
    case 'atomic':
      return backEnd.update(expr, value(expr.address), value(expr.value));
    case 'float':
      return backEnd.float(expr, expr.args.map(value));
  }
}
