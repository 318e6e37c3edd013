import { readFileSync } from 'node:fs';
import { readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { HostError, systemCode } from '@anole/host';
import type { MountRecord } from './mount-record.ts';

/** What is mounted where, as this process sees it. Nothing that is mounted is asked: it may not answer. */
export class MountTable {
  /** `MAJOR:MINOR` of file systems, which no others have while these are in use. The uppermost last. */
  readonly #at = new Map<string, readonly string[]>();

  /** @param text as in /proc/self/mountinfo (proc_pid_mountinfo(5)) */
  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [, , device, , path] = line.split(' ', 5);
      if (device === undefined || path === undefined) continue;
      const directory = plain(path);
      this.#at.set(directory, [...(this.#at.get(directory) ?? []), device]);
    }
  }

  static read(): MountTable {
    return new MountTable(readFileSync('/proc/self/mountinfo', 'utf8'));
  }

  /** The device of what is seen on a directory. */
  deviceOn(directory: string): string | undefined {
    return this.#at.get(directory)?.at(-1);
  }

  /** Whether an image is still on its directory, be it below something else. */
  has(record: MountRecord): boolean {
    return this.#at.get(record.directory)?.some((each) => isOf(record, each)) ?? false;
  }

  /** Whether it is what is seen there. */
  shows(record: MountRecord): boolean {
    const seen = this.#at.get(record.directory)?.at(-1);
    return seen !== undefined && isOf(record, seen);
  }
}

/** Notes of before devices were noted have none. */
function isOf({ device }: MountRecord, mounted: string): boolean {
  return device === undefined || mounted === device;
}

/** A path as it was before mountinfo wrote some of its bytes as octal numbers. */
function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** As many as the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * The path of a directory as the table of mounts has it: absolute, without links. What is mounted there is not asked.
 *
 * @throws HostError `HOST_NOT_FOUND`
 */
export async function pathOf(directory: string): Promise<string> {
  let path = resolve(directory);
  try {
    for (let links = 0; links <= MOST_LINKS; links++) {
      path = join(await realpath(dirname(path)), basename(path));
      const target = await readlink(path).catch(noLink);
      if (target === undefined) return path;
      path = resolve(dirname(path), target);
    }
  } catch (cause) {
    throw new HostError('HOST_NOT_FOUND', `Cannot find the directory ${directory}`, { cause });
  }
  throw new HostError('HOST_NOT_FOUND', `Cannot find the directory ${directory}: too many links`);
}

function noLink(error: unknown): undefined {
  if (systemCode(error) !== 'EINVAL') throw error;
}
