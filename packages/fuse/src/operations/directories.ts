import { type Awaitable, encodeName, type Flow, flow, wait } from '@anole/bytes';
import type { DirectoryEntry, Stat, TreeNode } from '@anole/vfs';
import { direntType, writeEntry } from '../attributes.ts';
import { Errno, refused } from '../errors.ts';
import { InitFlag } from '../layout/flags.ts';
import { Dirent, EntryOut, OpenOut } from '../layout/replies.ts';
import { ReadIn } from '../layout/requests.ts';
import { DOT, DOT_DOT, Listing } from '../listing.ts';
import type { KnownNode } from '../nodes.ts';
import type { Reply } from '../replies.ts';
import type { Request } from '../request.ts';
import type { Session } from '../session.ts';

/** An entry on its way to the kernel. */
interface Row {
  readonly name: Uint8Array;
  readonly ino: number;
  readonly type: number;
  readonly position: number;
  readonly entry: DirectoryEntry;
  /** The node itself, for READDIRPLUS. */
  readonly found: Found | undefined;
}

interface Found {
  readonly node: TreeNode;
  readonly stat: Stat;
}

/** As with files: positions do not depend on who opened the directory. */
export function opendir(session: Session, request: Request): Reply {
  session.known(request);
  if (((session.agreed ?? 0) & InitFlag.NO_OPENDIR_SUPPORT) !== 0) {
    throw refused(Errno.ENOSYS, 'OPENDIR');
  }
  return session.replies.ok(request, OpenOut.size);
}

export function readdir(session: Session, request: Request): Awaitable<Reply> {
  return flow(() => readEntries(session, request, false));
}

/** READDIR and LOOKUP in one: `ls -l` and `find` ask once for a page of entries. */
export function readdirplus(session: Session, request: Request): Awaitable<Reply> {
  return flow(() => readEntries(session, request, true));
}

function* readEntries(session: Session, request: Request, plus: boolean): Flow<Reply> {
  const known = session.known(request);
  const { offset, size } = request.args(ReadIn);
  const listing = yield* listingOf(known, offset);
  const fixed = (plus ? EntryOut.size : 0) + Dirent.size;
  const limit = Math.min(size, session.maxTransfer);
  const rows: Row[] = [];
  let total = 0;
  for (const row of rowsAfter(known, listing, offset)) {
    const length = (fixed + row.name.length + 7) & ~7;
    if (total + length > limit) break;
    const found = plus && row.position > DOT_DOT ? yield* find(known, row.entry) : undefined;
    if (found === null) continue;
    rows.push({ ...row, found });
    total += length;
  }
  return session.replies.ok(request, total, (view, at) => {
    for (const row of rows) at = writeRow(session, known, view, at, row, plus);
  });
}

/** Entries as they were when somebody last began to read: see {@link Listing}. */
function* listingOf(known: KnownNode, offset: number): Flow<Listing> {
  if (known.listing !== undefined && offset !== 0) return known.listing;
  const entries = yield* wait(known.node.list());
  if (known.listing === undefined) known.listing = new Listing(entries);
  else known.listing.update(entries);
  return known.listing;
}

function* rowsAfter(
  known: KnownNode,
  listing: Listing,
  offset: number,
): Generator<Omit<Row, 'found'>> {
  const type = direntType('directory');
  const dots = [
    { position: DOT, name: '.', ino: known.ino },
    { position: DOT_DOT, name: '..', ino: known.parentIno },
  ];
  for (const { position, name, ino } of dots) {
    if (position <= offset) continue;
    yield { position, name: encodeName(name), ino, type, entry: { name, ino, type: 'directory' } };
  }
  for (const [entry, position] of listing.after(offset)) {
    const name = encodeName(entry.name);
    yield { position, name, ino: entry.ino, type: direntType(entry.type), entry };
  }
}

/** The node of an entry; null where the name is gone, undefined where it cannot be had. */
function* find(known: KnownNode, entry: DirectoryEntry): Flow<Found | null | undefined> {
  try {
    const node = yield* wait(known.node.lookup(entry.name));
    return node === undefined ? null : { node, stat: node.stat };
  } catch {
    return undefined;
  }
}

function writeRow(
  session: Session,
  known: KnownNode,
  view: DataView,
  start: number,
  row: Row,
  plus: boolean,
): number {
  let at = start;
  if (plus) {
    if (row.found !== undefined) {
      const { node, stat } = row.found;
      const child = session.nodes.remember(node, stat, known.ino);
      session.nodes.name(known, row.entry.name, child);
      const { nodeid } = child;
      writeEntry(view, at, nodeid, stat, session.terms);
    }
    at += EntryOut.size;
  }
  const dirent = Dirent.at(view, at);
  dirent.ino = row.ino;
  dirent.offset = row.position;
  dirent.nameLength = row.name.length;
  dirent.type = row.type;
  at += Dirent.size;
  new Uint8Array(view.buffer, view.byteOffset + at, row.name.length).set(row.name);
  return at + ((row.name.length + 7) & ~7);
}
