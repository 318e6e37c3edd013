import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildImage, loadRecipe } from '@anole/compose';

/** A mkfs.erofs to compare with. */
export interface Mkfs {
  readonly name: string;
  readonly command: string;
  /** Compressors that it has. */
  readonly compressors: string;
}

/**
 * The distribution's mkfs.erofs; the newest, out of the packages of Debian's unstable suite with the
 * libraries they need; and what `ANOLE_MKFS_EROFS` names. As many as can be had.
 */
export async function findMkfs(base: string, note: (text: string) => void): Promise<Mkfs[]> {
  const given = process.env['ANOLE_MKFS_EROFS'];
  const newest = given ?? (await unpackNewest(base).catch((error: unknown) => String(error)));
  const found = ['mkfs.erofs', newest].map((command) => ({ command, name: versionOf(command) }));
  for (const { command, name } of found) if (!name) note(`no peer: ${command}`);
  return found
    .filter((one): one is { command: string; name: string } => one.name !== undefined)
    .filter(({ name }, at, all) => all.findIndex((one) => one.name === name) === at)
    .map((one) => ({ ...one, compressors: compressorsOf(one.command) }));
}

function versionOf(command: string): string | undefined {
  const { stdout } = spawnSync(command, ['-V'], { encoding: 'utf8' });
  const version = /\d+\.\d+[\w.]*/.exec(stdout ?? '')?.[0];
  return version && `mkfs.erofs ${version}`;
}

function compressorsOf(command: string): string {
  const { stdout, stderr } = spawnSync(command, ['--help'], { encoding: 'utf8' });
  return `${stdout}${stderr}`;
}

/** A script that runs it with its own libraries. */
async function unpackNewest(base: string): Promise<string> {
  const recipe = join(base, 'mkfs.yaml');
  const where = { suites: ['sid'], components: ['main'], architecture: 'amd64' };
  writeFileSync(recipe, JSON.stringify({ ...where, essential: false, packages: ['erofs-utils'] }));
  const root = join(base, 'mkfs');
  await buildImage(await loadRecipe(recipe), root, { format: 'dir' });
  const libraries = `${root}/usr/lib/x86_64-linux-gnu`;
  const loader = `${root}/usr/lib64/ld-linux-x86-64.so.2 --library-path ${libraries}`;
  const script = join(base, 'mkfs-newest');
  writeFileSync(script, `#!/bin/sh\nexec ${loader} ${root}/usr/bin/mkfs.erofs "$@"\n`);
  chmodSync(script, 0o755);
  return script;
}

export interface Spent {
  /** Seconds of processor time, user's and system's, of all threads. */
  readonly cpu: number;
  /** Bytes of memory at the most. */
  readonly memory: number;
}

/** Runs a command, no other beside it, and watches what it takes. */
export async function spend(command: string, args: readonly string[]): Promise<Spent> {
  const before = ofChildren();
  const child = spawn(command, args, { stdio: 'ignore' });
  let memory = 0;
  const look = () => {
    try {
      const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
      if (peak) memory = Number(peak[1]) * 1024;
    } catch {
      // It has ended.
    }
  };
  const timer = setInterval(look, 20);
  try {
    const code = await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
  } finally {
    clearInterval(timer);
  }
  return { cpu: ofChildren() - before, memory };
}

/** Seconds of processor time of all that this process has started and that has ended. */
function ofChildren(): number {
  // Fields 16 and 17 of proc_pid_stat(5), in ticks of 10 ms, behind a name in parentheses.
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}
