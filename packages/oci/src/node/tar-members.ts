import type { Source } from '@anole/bytes';
import { type FileSource, fileSource } from '@anole/host';
import { readTar, sliceSource } from '@anole/vfs';
import { OciError } from '../errors.ts';

/** Members of an archive of images at most. */
const MAX_MEMBERS = 200_000;
const MAX_LINKS = 8;

interface Member {
  readonly offset: number;
  readonly size: number;
  /** Of a symbolic link: the path it leads to. */
  readonly link?: string;
}

/** The files of a tar archive, where they lie. The archive stays open until it is closed. */
export class TarMembers implements Disposable {
  readonly path: string;
  private readonly source: FileSource;
  private readonly members: ReadonlyMap<string, Member>;

  private constructor(path: string, source: FileSource, members: ReadonlyMap<string, Member>) {
    this.path = path;
    this.source = source;
    this.members = members;
  }

  /** @throws HostError, TarError; OciError `OCI_TOO_LARGE` for too many members */
  static async open(path: string): Promise<TarMembers> {
    const source = fileSource(path);
    try {
      checkPlain(path, source);
      const members = new Map<string, Member>();
      for await (const entry of readTar(source)) {
        if (members.size >= MAX_MEMBERS) {
          throw new OciError('OCI_TOO_LARGE', `Cannot use ${path}: over ${MAX_MEMBERS} members`);
        }
        const { type, dataOffset: offset, storedSize: size } = entry;
        if (type === 'file' && !entry.extents) members.set(entry.path, { offset, size });
        if (type === 'hardlink') {
          const target = members.get(entry.target);
          if (target) members.set(entry.path, target);
        }
        if (type === 'symlink') {
          members.set(entry.path, { offset, size: 0, link: linked(entry.path, entry.target) });
        }
      }
      return new TarMembers(path, source, members);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** The bytes of a member, through links; undefined where there is none. */
  find(path: string): Source | undefined {
    let member = this.members.get(path);
    for (let links = 0; member?.link !== undefined; links++) {
      if (links === MAX_LINKS) return undefined;
      member = this.members.get(member.link);
    }
    return member && sliceSource(this.source, member.offset, member.size);
  }

  /** A small member's bytes. @throws OciError `OCI_NOT_FOUND`, `OCI_TOO_LARGE` */
  async read(path: string, limit: number): Promise<Uint8Array> {
    const found = this.find(path);
    if (found === undefined) {
      throw new OciError('OCI_NOT_FOUND', `Cannot find ${JSON.stringify(path)} in ${this.path}`);
    }
    if (found.size > limit) {
      throw new OciError(
        'OCI_TOO_LARGE',
        `Cannot read ${JSON.stringify(path)} of ${this.path}: it has ${found.size} bytes, at most ${limit} are allowed`,
      );
    }
    return found.read(0, found.size);
  }

  [Symbol.dispose](): void {
    this.source.close();
  }
}

/** Old archives of docker link layers to one another: `../ID/layer.tar`. */
function linked(from: string, target: string): string {
  const parts = target.startsWith('/') ? [] : from.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function checkPlain(path: string, source: FileSource): void {
  const magic = Buffer.from(source.read(0, Math.min(4, source.size))).toString('hex');
  if (!magic.startsWith('1f8b') && magic !== '28b52ffd') return;
  throw new OciError('OCI_BAD_LAYOUT', `Cannot use ${path}: it is compressed`, {
    hint: `Decompress it first: ${magic === '28b52ffd' ? 'zstd -d' : 'gunzip -k'} ${path}`,
  });
}
