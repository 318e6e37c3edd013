import { type ErofsNode, type ErofsTree, openErofs } from '@anole/erofs';
import { type FileSource, fileSource, hostDecoders } from '@anole/host';
import { findNode, VfsError } from '@anole/vfs';

/** An image that is open, as its commands use it. Closed when it goes out of scope. */
export class OpenImage {
  readonly file: string;
  readonly tree: ErofsTree;
  readonly source: FileSource;

  private constructor(file: string, source: FileSource, tree: ErofsTree) {
    this.file = file;
    this.source = source;
    this.tree = tree;
  }

  static async open(file: string): Promise<OpenImage> {
    const source = fileSource(file);
    try {
      return new OpenImage(file, source, await openErofs(source, { decoders: hostDecoders }));
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** @throws VfsError `VFS_NOT_FOUND` */
  async find(path: string, followSymlinks: boolean): Promise<ErofsNode> {
    const node = await findNode(this.tree, path, { followSymlinks });
    if (node !== undefined) return node as ErofsNode;
    throw new VfsError('VFS_NOT_FOUND', `Cannot find ${path} in ${this.file}`, {
      details: { path, image: this.file },
      hint: `anole fs ls ${this.file} shows what is there`,
    });
  }

  [Symbol.dispose](): void {
    this.source.close();
  }
}
