import { type Flow, type Source, wait } from '@anole/bytes';
import { PackageError } from './errors.ts';

/** A member of an ar archive: where its data lies in the Source. */
export interface ArMember {
  /** Without the slash that GNU ar ends names with. */
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const MAGIC = '!<arch>\n';
const HEADER = 60;
/** A package has three members; dpkg lets others follow whose names begin with `_`. */
const MEMBER_LIMIT = 64;

/**
 * Lists the members of an ar archive. deb(5), ar(5): common format, names of at most 16 bytes in
 * place, sizes in decimal, each member padded to an even offset.
 *
 * @throws PackageError `DEB_BAD_ARCHIVE`
 */
export function* readArMembers(source: Source): Flow<readonly ArMember[]> {
  if (source.size < MAGIC.length) throw bad('it is too short for an archive', 0);
  if (text(yield* wait(source.read(0, MAGIC.length))) !== MAGIC) {
    throw bad('it does not begin with the ar magic', 0);
  }
  const members: ArMember[] = [];
  let at = MAGIC.length;
  while (at < source.size) {
    if (source.size - at < HEADER) throw bad('it ends within a member header', at);
    if (members.length === MEMBER_LIMIT) throw bad(`it has over ${MEMBER_LIMIT} members`, at);
    const member = parseHeader(yield* wait(source.read(at, HEADER)), at);
    if (member.size > source.size - member.offset) {
      throw bad(`member ${JSON.stringify(member.name)} of ${member.size} bytes is cut short`, at);
    }
    members.push(member);
    at = member.offset + member.size + (member.size % 2);
  }
  return members;
}

function parseHeader(bytes: Uint8Array, at: number): ArMember {
  const header = text(bytes);
  const size = header.slice(48, 58).trimEnd();
  if (header.slice(58) !== '`\n' || !/^\d{1,10}$/.test(size)) {
    throw bad('a member header is malformed', at);
  }
  const name = header.slice(0, 16).trimEnd().replace(/\/$/, '');
  return { name, offset: at + HEADER, size: Number(size) };
}

/** Latin-1, so that each byte is one character. */
function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function bad(reason: string, offset: number): PackageError {
  return new PackageError('DEB_BAD_ARCHIVE', `Cannot read the package: ${reason}`, {
    details: { offset },
    hint: 'The file is damaged or no .deb; fetch it again.',
  });
}
