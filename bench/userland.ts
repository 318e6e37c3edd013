import { openArchive, openDeb, readData, solve } from '@anole/compose';
import { fileSource } from '@anole/host';
import { type CpioEntry, writeCpio } from '../packages/sandbox/src/guest/cpio.ts';

/** What a bench's guest has beside the packages. */
export interface GuestFile {
  readonly path: string;
  readonly content: string;
  readonly mode?: number;
}

/** What no workload reads. */
const left = [
  /^usr\/share\/(doc|man|locale|info|lintian|gcc|perl)\//,
  /^usr\/lib\/python3[^/]*\/(test|idlelib)\//,
  /^usr\/lib\/[^/]*\/(perl|gconv)\//,
  /lto[-\w]*$|lib(a|t|l|ub|hwa)san\.|lib(gomp|crypt|m)\.a$/,
];

/**
 * An initramfs of packages of Debian for riscv64, unpacked as they are: no maintainer script was run.
 * `files` come last, and their directories are made.
 */
export async function userland(
  packages: readonly string[],
  files: readonly GuestFile[],
): Promise<Uint8Array<ArrayBuffer>> {
  const archive = await openArchive({
    suites: ['trixie'],
    components: ['main'],
    architecture: 'riscv64',
  });
  const chosen = solve(archive.packages, { packages, essential: false, recommends: false });
  const entries = new Map<string, CpioEntry>();
  for (const record of chosen.packages) await unpack((await archive.fetch(record)).path, entries);
  for (const { path, content, mode = 0o644 } of files) {
    addParents(path, entries);
    const bytes = new TextEncoder().encode(content);
    entries.set(path, { type: 'file', path, mode, bytes });
  }
  return writeCpio([...entries.values()]);
}

async function unpack(path: string, entries: Map<string, CpioEntry>): Promise<void> {
  using source = fileSource(path);
  const contents = new Map<string, Uint8Array>();
  for await (const entry of readData(await openDeb(source))) {
    const { path: name, mode } = entry;
    if (name === '' || left.some((each) => each.test(name))) continue;
    if (entry.type === 'directory') {
      if (!entries.has(name)) entries.set(name, { type: 'directory', path: name, mode });
      continue;
    }
    addParents(name, entries);
    if (entry.type === 'symlink') {
      entries.set(name, { type: 'symlink', path: name, mode: 0o777, target: entry.target });
    } else if (entry.type === 'file') {
      const bytes = (await entry.storedBytes()).slice();
      contents.set(name, bytes);
      entries.set(name, { type: 'file', path: name, mode, bytes });
    } else if (entry.type === 'hardlink') {
      const bytes = contents.get(entry.target)!;
      entries.set(name, { type: 'file', path: name, mode, bytes });
    }
  }
}

function addParents(path: string, entries: Map<string, CpioEntry>): void {
  const parts = path.split('/').slice(0, -1);
  for (let count = 1; count <= parts.length; count++) {
    const parent = parts.slice(0, count).join('/');
    if (!entries.has(parent)) {
      entries.set(parent, { type: 'directory', path: parent, mode: 0o755 });
    }
  }
}
