import { allFileTypes } from '@anole/vfs';
import { Errno, FuseError } from './errors.ts';
import type { FuseFork } from './state.ts';

type ForkedNode = FuseFork['nodes'][number];

/**
 * What a kernel knows, to be posted to a thread: its nodes, hundreds, in two pieces of memory. Objects take both
 * threads longer (docs/decisions/0243).
 */
export interface PackedFuseFork extends Omit<FuseFork, 'nodes'> {
  /** For each node the fields below, then the numbers of the names that it was told, as many as it says. */
  readonly numbers: Float64Array;
  /** The nodes' names, where they have one, each before the names that it was told; a NUL after each. */
  readonly names: string;
}

/** Numbers of a node, by their places. */
const Field = { nodeid: 0, ino: 1, lookups: 2, parentIno: 3, type: 4, flags: 5, told: 6, end: 7 };
const Flag = { named: 1, tells: 2, powerless: 4 };

export function packFuseFork({ nodes, ...rest }: FuseFork): PackedFuseFork {
  const numbers: number[] = [];
  let names = '';
  for (const { nodeid, ino, lookups, parentIno, type, name, told, powerless } of nodes) {
    const flags =
      (name === undefined ? 0 : Flag.named) |
      (told === undefined ? 0 : Flag.tells) |
      (powerless ? Flag.powerless : 0);
    numbers.push(
      nodeid,
      ino,
      lookups,
      parentIno,
      allFileTypes.indexOf(type),
      flags,
      told?.size ?? 0,
    );
    if (name !== undefined) names += `${name}\0`;
    for (const [each, number] of told ?? []) {
      names += `${each}\0`;
      numbers.push(number);
    }
  }
  return { ...rest, numbers: Float64Array.from(numbers), names };
}

/** @throws FuseError `FUSE_BAD_STATE` where {@link packFuseFork} did not make it */
export function unpackFuseFork({ numbers, names, ...rest }: PackedFuseFork): FuseFork {
  const words = names.split('\0');
  const nodes: ForkedNode[] = [];
  let [at, word] = [0, 0];
  const next = () => words[word++]!;
  while (at < numbers.length) {
    const field = (place: number) => numbers[at + place]!;
    const flags = field(Field.flags);
    const node = {
      nodeid: field(Field.nodeid),
      ino: field(Field.ino),
      type: allFileTypes[field(Field.type)]!,
      lookups: field(Field.lookups),
      parentIno: field(Field.parentIno),
      ...((flags & Flag.named) !== 0 && { name: next() }),
      ...((flags & Flag.powerless) !== 0 && { powerless: true }),
    };
    const end = at + Field.end + field(Field.told);
    at += Field.end;
    const told = new Map<string, number>();
    while (at < end) told.set(next(), numbers[at++]!);
    nodes.push((flags & Flag.tells) === 0 ? node : { ...node, told });
  }
  if (at === numbers.length && word === words.length - 1) return { ...rest, nodes };
  throw new FuseError(
    'FUSE_BAD_STATE',
    'Cannot read nodes: they do not fit together',
    Errno.EINVAL,
  );
}
