import { decodeName, memorySource } from '@anole/bytes';
import fc from 'fast-check';
import { type Attributes, MemoryTree, type Timestamp } from '../src/index.ts';
import { sparseContent } from '../src/tar/sparse-content.ts';

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** All pieces of a stream as one. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part.slice());
  return new Uint8Array(Buffer.concat(parts));
}

/** A stream of the bytes in pieces of that size. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** A tree with one of everything, some of it awkward. */
export function sampleTree(): MemoryTree {
  const mtime: Timestamp = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
  const tree = new MemoryTree({ mode: 0o755, mtime });
  const put = (mode: number, more: Attributes = {}): Attributes => ({ mode, mtime, ...more });
  tree.putDirectory('usr/bin', put(0o755));
  tree.putFile('usr/bin/tool', utf8('#!/bin/sh\n'), put(0o4755, { uid: 1000, gid: 50 }));
  tree.putLink('usr/bin/also', 'usr/bin/tool');
  tree.putSymlink('bin', 'usr/bin', put(0o777));
  tree.putFile('empty', new Uint8Array(0), { mode: 0o600, mtime: { seconds: 0, nanoseconds: 0 } });
  tree.putFile('block', new Uint8Array(512).fill(7), put(0o644));
  tree.putFile(
    'blocks',
    new Uint8Array(1_000_000).map((_, at) => at % 251),
    put(0o644),
  );
  tree.putFile('old', utf8('x'), { mode: 0o644, mtime: { seconds: -1, nanoseconds: 500_000_000 } });
  tree.putFile('owned', utf8('x'), put(0o644, { uid: 3_000_000_000, gid: 2_097_152 }));
  tree.putSpecial('dev/null', 'character', put(0o666, { rdev: { major: 1, minor: 3 } }));
  tree.putSpecial('dev/sda', 'block', put(0o660, { rdev: { major: 259, minor: 70_000 } }));
  tree.putSpecial('run/pipe', 'fifo', put(0o600));
  tree.putFile('grüße/日本.txt', utf8('hi'), put(0o644));
  tree.putFile(decodeName(Uint8Array.of(0x62, 0xff, 0x64)), utf8('raw name'), put(0o644));
  tree.putFile(`${'long/'.repeat(40)}${'n'.repeat(250)}`, utf8('far'), put(0o644));
  tree.putSymlink('far', `${'../'.repeat(60)}target`, put(0o777));
  const xattrs = new Map([
    ['user.empty', new Uint8Array(0)],
    ['user.a=b%', utf8('with\nline and \0')],
  ]);
  tree.putFile('marked', utf8('m'), put(0o644, { xattrs }));
  const extents = [
    { offset: 4096, length: 4096 },
    { offset: 1_048_576, length: 10 },
  ];
  const stored = memorySource(new Uint8Array(4106).fill(9));
  tree.putFile('holes', sparseContent(stored, extents, 2_000_000), put(0o644));
  tree.putFile('hollow', sparseContent(memorySource(new Uint8Array(0)), [], 1_000_000), put(0o644));
  return tree;
}

const name = fc
  .oneof(
    { weight: 6, arbitrary: fc.stringMatching(/^[a-d]{1,2}$/) },
    { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 120, unit: 'grapheme' }) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 150 }).map(decodeName) },
  )
  .filter((text) => !/[/\0]/.test(text) && !/^\.{1,2}$/.test(text));

const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));

const xattrs = fc
  .dictionary(fc.stringMatching(/^user\.[a-z=%]{1,9}$/), fc.uint8Array({ maxLength: 40 }), {
    maxKeys: 3,
  })
  .map((values) => new Map(Object.entries(values)));

const attributes: fc.Arbitrary<Attributes> = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0xffff_fffe })),
  gid: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0xffff_fffe })),
  mtime: fc.record({
    seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nanoseconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
  }),
  xattrs: fc.oneof(
    { weight: 3, arbitrary: fc.constant(new Map()) },
    { weight: 1, arbitrary: xattrs },
  ),
});

const step = fc.oneof(
  fc.record({
    kind: fc.constant('file' as const),
    path,
    attributes,
    content: fc.uint8Array({ maxLength: 1500 }),
  }),
  fc.record({ kind: fc.constant('directory' as const), path, attributes }),
  fc.record({ kind: fc.constant('symlink' as const), path, attributes, target: path }),
  fc.record({ kind: fc.constant('link' as const), path, existing: path }),
  fc.record({
    kind: fc.constant('device' as const),
    path,
    attributes,
    rdev: fc.record({ major: fc.nat(4095), minor: fc.nat(1_048_575) }),
  }),
  fc.record({ kind: fc.constant('fifo' as const), path, attributes }),
  fc.record({
    kind: fc.constant('sparse' as const),
    path,
    attributes,
    holes: fc.array(fc.nat(3000), { maxLength: 6 }),
  }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Trees of any shape: steps that do not fit (a file where a directory is) leave no trace. */
export const arbitraryTree: fc.Arbitrary<MemoryTree> = fc
  .array(step, { maxLength: 12 })
  .map((steps) => {
    const tree = new MemoryTree();
    for (const one of steps) {
      try {
        apply(tree, one);
      } catch {
        // The step did not fit.
      }
    }
    return tree;
  });

function apply(tree: MemoryTree, one: Step): void {
  if (one.kind === 'file') tree.putFile(one.path, one.content, one.attributes);
  else if (one.kind === 'directory') tree.putDirectory(one.path, one.attributes);
  else if (one.kind === 'symlink') tree.putSymlink(one.path, one.target, one.attributes);
  else if (one.kind === 'link') tree.putLink(one.path, one.existing);
  else if (one.kind === 'fifo') tree.putSpecial(one.path, 'fifo', one.attributes);
  else if (one.kind === 'device') {
    tree.putSpecial(one.path, 'block', { ...one.attributes, rdev: one.rdev });
  } else putSparse(tree, one.path, one.attributes, one.holes);
}

function putSparse(
  tree: MemoryTree,
  at: string,
  given: Attributes,
  holes: readonly number[],
): void {
  const extents = [];
  let offset = 0;
  let length = 0;
  for (const hole of holes) {
    extents.push({ offset: offset + hole, length: 100 });
    offset += hole + 100;
    length += 100;
  }
  const stored = memorySource(new Uint8Array(length).map((_, index) => index));
  tree.putFile(at, sparseContent(stored, extents, offset + 700), given);
}
