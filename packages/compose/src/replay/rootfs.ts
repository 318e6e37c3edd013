import { decodeName, encodeName } from '@anole/bytes';
import { type Attributes, type MemoryNode, MemoryTree } from '@anole/vfs';

/** Files larger than this are no text that a maintainer script edits. */
const TEXT_LIMIT = 16 * 1024 * 1024;

/**
 * The root file system while it is made: a MemoryTree and the few things that maintainer scripts do
 * to one. What it writes is owned by root and dated `date` unless said otherwise, so that the same
 * packages give the same bytes.
 */
export class Rootfs {
  readonly tree: MemoryTree;
  /** Seconds since 1970 that new files carry. */
  readonly date: number;

  constructor(tree: MemoryTree, date: number) {
    this.tree = tree;
    this.date = date;
  }

  static empty(date: number): Rootfs {
    return new Rootfs(new MemoryTree({ mtime: { seconds: date, nanoseconds: 0 } }), date);
  }

  /** The node at a path, the last component not followed. */
  at(path: string): MemoryNode | undefined {
    return this.tree.find(path, { followSymlinks: false });
  }

  /** The node at a path, links followed. */
  find(path: string): MemoryNode | undefined {
    return this.tree.find(path);
  }

  /** As the shell's `-e`: a link that leads nowhere does not exist. */
  exists(path: string): boolean {
    return this.find(path) !== undefined;
  }

  isDirectory(path: string): boolean {
    return this.find(path)?.type === 'directory';
  }

  /** Names in a directory, sorted by bytes; none where there is no such directory. */
  list(path: string): readonly string[] {
    const node = this.find(path);
    return node?.type === 'directory' ? node.list().map((entry) => entry.name) : [];
  }

  async bytes(path: string): Promise<Uint8Array | undefined> {
    const node = this.find(path);
    if (node?.type !== 'file' || node.stat.size > TEXT_LIMIT) return undefined;
    return (await node.read(0, node.stat.size)).slice();
  }

  async text(path: string): Promise<string | undefined> {
    const bytes = await this.bytes(path);
    return bytes && decodeName(bytes);
  }

  write(path: string, content: string | Uint8Array, attributes: Attributes = {}): MemoryNode {
    const bytes = typeof content === 'string' ? encodeName(content) : content;
    return this.tree.putFile(path, bytes, { ...this.dated(), ...attributes });
  }

  /** Writes only where nothing is there yet: what an administrator or a recipe put stays. */
  writeMissing(path: string, content: string, attributes: Attributes = {}): void {
    if (this.at(path) === undefined) this.write(path, content, attributes);
  }

  /** Makes a directory with those above it; one that is there stays as it is. */
  mkdir(path: string, attributes: Attributes = {}): void {
    if (this.at(path) === undefined)
      this.tree.putDirectory(path, { ...this.dated(), ...attributes });
  }

  /** As `ln -sf`: in the place of whatever but a directory is there. */
  symlink(path: string, target: string): void {
    this.tree.putSymlink(path, target, this.dated());
  }

  remove(path: string): void {
    if (this.at(path) !== undefined) this.tree.remove(path, { recursive: true });
  }

  /** As `cp -p`, where the source is there and the goal is not. */
  copyMissing(from: string, to: string, attributes: Attributes = {}): void {
    const node = this.find(from);
    if (node?.type !== 'file' || this.at(to) !== undefined) return;
    const { mode, uid, gid, mtime } = node.stat;
    this.tree.putFile(to, node.content, { mode, uid, gid, mtime, ...attributes });
  }

  private dated(): Attributes {
    return { mtime: { seconds: this.date, nanoseconds: 0 } };
  }
}
