import { AnoleError, type CallOptions, type Source } from '@anole/bytes';
import { checkErofs, type Finding as ErofsFinding } from '@anole/erofs';
import { walk } from '@anole/vfs';
import type { RafsBlob } from '../reader/blob.ts';
import type { RafsNode } from '../reader/file-chunks.ts';
import type { RafsImage } from '../reader/image.ts';

/** One thing that is wrong with an image. Survives JSON. */
export interface RafsFinding {
  /** `warning`: all can be read, but not verified, or counts are wrong. */
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly message: string;
  /** Name of the blob it is about. */
  readonly blob?: string;
  /** Of the file, from the root, where it is about one. */
  readonly path?: string;
}

export interface RafsCheckOptions extends CallOptions {
  /** Whether chunks are read, decoded and verified. Default true; without, tables alone are looked at. */
  readonly data?: boolean;
  /** Gets every finding as it is made. */
  onFinding?(finding: RafsFinding): void;
}

export interface RafsCheckReport {
  readonly findings: readonly RafsFinding[];
  readonly errors: number;
  readonly warnings: number;
  readonly files: number;
  readonly chunks: number;
  /** Bytes of chunks that were verified, decoded. */
  readonly verified: number;
}

/**
 * Checks an image: the structure of its bootstrap, that each file is made of chunks that there are, all
 * tables of its blobs, and every chunk against its digest. It goes on behind damage.
 *
 * @param bootstrap of the image, for what only the checker of EROFS sees
 * @throws the signal, and what Sources raise without a code
 * @example
 * const { findings } = await checkRafs(image, bootstrap);
 */
export async function checkRafs(
  image: RafsImage,
  bootstrap: Source,
  options: RafsCheckOptions = {},
): Promise<RafsCheckReport> {
  const check = new Check(options);
  if (image.version === 6) await check.structure(image, bootstrap);
  for (const blob of image.blobs) await check.blob(blob);
  await check.walk(image);
  const { findings, files, chunks, verified } = check;
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return { findings, errors, warnings: findings.length - errors, files, chunks, verified };
}

class Check {
  readonly findings: RafsFinding[] = [];
  files = 0;
  chunks = 0;
  verified = 0;
  readonly #options: RafsCheckOptions;

  constructor(options: RafsCheckOptions) {
    this.#options = options;
  }

  async structure(image: RafsImage, bootstrap: Source): Promise<void> {
    const { signal } = this.#options;
    const onFinding = ({ severity, code, message, path }: ErofsFinding) =>
      this.#add({ severity, code, message, ...(path !== undefined && { path }) });
    const options = { devices: image.blobs, data: false, onFinding };
    await checkErofs(bootstrap, { ...options, ...(signal && { signal }) });
  }

  async blob(blob: RafsBlob): Promise<void> {
    const { id, chunkCount } = blob.info;
    const table = await this.#attempt({ blob: id }, () => blob.chunks());
    if (table === undefined) return;
    // Blobs of RAFS v5 may say nothing of it.
    if (chunkCount > 0 && table.count !== chunkCount) {
      const message = `The blob table says ${chunkCount} chunks, ${table.count} are known`;
      this.#add({ severity: 'warning', code: 'RAFS_BAD_BLOB', message, blob: id });
    }
    let unverified = 0;
    for (let at = 0; at < table.count; at++) {
      this.#options.signal?.throwIfAborted();
      this.chunks++;
      const chunk = table.chunk(at);
      const digest = await this.#attempt({ blob: id }, () => blob.digest(chunk.index));
      if (digest === undefined && chunk.crc32 === undefined) unverified++;
      if (this.#options.data === false) continue;
      const bytes = await this.#attempt({ blob: id }, () => blob.readChunk(chunk));
      if (bytes && digest) this.verified += bytes.length;
      const { onProgress } = this.#options;
      onProgress?.({ step: 'check chunks', done: this.verified, unit: 'bytes', detail: id });
    }
    if (unverified === 0) return;
    const message = `${unverified} chunks have no digest`;
    this.#add({ severity: 'warning', code: 'RAFS_NO_DIGEST', message, blob: id });
  }

  async walk(image: RafsImage): Promise<void> {
    const { signal } = this.#options;
    const tree = walk(image, signal ? { signal } : {});
    for (;;) {
      const next = await this.#attempt({}, () => tree.next());
      if (next === undefined || next.done) return;
      const { path, node } = next.value;
      if (node.stat.type === 'file') await this.#file(node as RafsNode, path);
    }
  }

  async #file(node: RafsNode, path: string): Promise<void> {
    this.files++;
    const chunks = await this.#attempt({ path }, () => node.chunks());
    const last = chunks?.at(-1);
    const end = last ? last.offset + last.chunk.size : 0;
    if (chunks === undefined || end <= node.stat.size) return;
    const message = `The file has ${node.stat.size} bytes, its chunks ${end}`;
    this.#add({ severity: 'error', code: 'RAFS_BAD_INODE', message, path });
  }

  async #attempt<T>(
    about: Pick<RafsFinding, 'blob' | 'path'>,
    work: () => T | Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!AnoleError.is(error)) throw error;
      this.#add({ severity: 'error', code: error.code, message: error.message, ...about });
      return undefined;
    }
  }

  #add(finding: RafsFinding): void {
    this.findings.push(finding);
    this.#options.onFinding?.(finding);
  }
}
