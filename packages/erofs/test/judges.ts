import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tree } from '@anole/vfs';
import { missing, run } from '../../vfs/test/judges.ts';
import { collect } from '../../vfs/test/trees.ts';
import { type WriteOptions, writeErofs } from '../src/index.ts';

export { missing, run };

/** Why the kernel cannot judge here, or false. */
export function noMount(): string | false {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  spawnSync('modprobe', ['erofs'], { stdio: 'ignore' });
  const known = readFileSync('/proc/filesystems', 'utf8').includes('\terofs\n');
  return known ? missing('mount') : 'this kernel has no EROFS';
}

/** Why the tools of erofs-utils cannot judge here, or false: their `--version` is `-V`. */
export function noErofsUtils(): string | false {
  const { error } = spawnSync('mkfs.erofs', ['-V'], { stdio: 'ignore' });
  return error ? 'mkfs.erofs (erofs-utils) is not installed' : false;
}

/** A directory that is gone when it goes out of scope. */
export class Scratch {
  readonly path = mkdtempSync(join(tmpdir(), 'anole-erofs-'));

  at(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export async function imageOf(tree: Tree, options: WriteOptions = {}): Promise<Uint8Array> {
  return collect(await writeErofs(tree, options));
}

/** An image mounted by the kernel, unmounted when it goes out of scope. */
export class Mounted {
  readonly path: string;
  readonly #loops: string[];

  /** @param devices files that are the devices beside the image */
  constructor(scratch: Scratch, image: Uint8Array | string, devices: readonly string[] = []) {
    this.path = scratch.at('mount');
    mkdirSync(this.path, { recursive: true });
    let file = image;
    if (typeof file !== 'string') {
      file = scratch.at('mounted.img');
      writeFileSync(file, image);
    }
    this.#loops = devices.map((device) =>
      run(['losetup', '--find', '--show', '--read-only', device]).toString().trim(),
    );
    const options = ['loop', 'ro', ...this.#loops.map((loop) => `device=${loop}`)];
    run(['mount', '-t', 'erofs', '-o', options.join(), file, this.path]);
  }

  [Symbol.dispose](): void {
    run(['umount', this.path]);
    for (const loop of this.#loops) run(['losetup', '--detach', loop]);
  }
}
