import type { FileType } from '@anole/vfs';
import { Errno, FuseError } from './errors.ts';
import type { FuseFork } from './state.ts';

/** A node in a line, as JSON. */
type NodeLine = Omit<FuseFork['nodes'][number], 'told'> & {
  readonly told?: readonly (readonly [string, number])[];
};

/** Writes what a kernel knows as lines of JSON: the first is about the whole, then one for each node. */
export function* writeFuseFork({ nodes, rootTold, ...head }: FuseFork): Generator<string> {
  yield JSON.stringify({ ...head, nodes: nodes.length, rootTold: [...rootTold] });
  for (const { told, ...node } of nodes) {
    yield JSON.stringify({ ...node, ...(told && { told: [...told] }) } satisfies NodeLine);
  }
}

/**
 * Reads what {@link writeFuseFork} wrote.
 *
 * @throws FuseError `FUSE_BAD_STATE`; SyntaxError for lines that are no JSON
 */
export function readFuseFork(lines: Iterable<string>): FuseFork {
  let head: ReturnType<typeof headOf> | undefined;
  const nodes: FuseFork['nodes'][number][] = [];
  for (const line of lines) {
    const value = fieldsOf(JSON.parse(line));
    if (head === undefined) head = headOf(value);
    else nodes.push(nodeOf(value, head.next));
  }
  if (head === undefined || head.count !== nodes.length) throw bad();
  const { count: _, ...rest } = head;
  return { ...rest, nodes };
}

function headOf({ agreed, next, nodes, rootTold, drops }: Fields) {
  const stale = listOf(drops).map((drop) => {
    const { ino, present } = fieldsOf(drop);
    return { ino: count(ino), path: [], present: listOf(present).map(textOf), absent: [] };
  });
  return {
    agreed: agreed === undefined ? undefined : count(agreed),
    next: count(next),
    count: count(nodes),
    rootTold: toldOf(rootTold),
    drops: stale,
  };
}

function nodeOf(line: Fields, next: number): FuseFork['nodes'][number] {
  const { nodeid, ino, type, lookups, parentIno, name, told, powerless } = line;
  // The kernel has 1 for the root by itself.
  if (count(nodeid) <= 1 || count(nodeid) >= next) throw bad();
  return {
    nodeid: count(nodeid),
    ino: count(ino),
    type: textOf(type) as FileType,
    lookups: count(lookups),
    parentIno: count(parentIno),
    ...(name !== undefined && { name: textOf(name) }),
    ...(told !== undefined && { told: toldOf(told) }),
    ...(powerless === true && { powerless }),
  };
}

function toldOf(value: unknown): Map<string, number> {
  const told = new Map<string, number>();
  for (const pair of listOf(value)) {
    const [name, nodeid] = listOf(pair);
    told.set(textOf(name), count(nodeid));
  }
  return told;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null) return value as Fields;
  throw bad();
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw bad();
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  throw bad();
}

function count(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw bad();
}

function bad(): FuseError {
  const message = 'Cannot go on with a state that no server had';
  return new FuseError('FUSE_BAD_STATE', message, Errno.EINVAL);
}
