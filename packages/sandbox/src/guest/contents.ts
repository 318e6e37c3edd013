import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { mounts } from './boot.ts';
import type { CpioEntry } from './cpio.ts';

import { launchProgram } from './launch.ts';
import { renewProgram } from './renew.ts';
import { syncProgram } from './sync.ts';

/** Programs of the guest's first file system, by the name they get in the tools' directory. */
export interface GuestTools {
  readonly busybox: Uint8Array;
  readonly qjs: Uint8Array;
  /** The dynamic loader of the C library that these were built for. */
  readonly 'ld.so': Uint8Array;
  readonly 'libc.so.6': Uint8Array;
  readonly 'libm.so.6': Uint8Array;
}

/** The agent's modules beside this one: sources when anole runs from sources, else built ones. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const agentModules = [
  'main',
  'command',
  'configure',
  'drop',
  'limits',
  'launch-request',
  'launcher',
  'port',
  'process',
  'spawn-order',
  'streams',
  'system',
  'users',
  'wire',
].map((name) => `${name}.${extension}`);

/**
 * First process. It mounts what /etc/fstab lists, makes the image the root, and becomes the agent.
 * `mount -a` is one process for all mounts. Nothing here depends on what the guest is for, so that a
 * machine saved when its agent is up serves for every sandbox.
 */
const init = (networkSetup: string) => `#!/anole/busybox sh
/anole/busybox mount -a || exec /anole/busybox sh -c 'echo "anole: cannot mount the image" > /dev/console; exit 1'
/anole/busybox mkdir /newroot/dev/pts /newroot/dev/shm
/anole/busybox mount -a -T /anole/fstab
/anole/busybox ifconfig lo up
${networkSetup}cd /newroot
/anole/busybox mount --move . /
exec /anole/busybox chroot . /run/anole/ld.so --library-path /run/anole /run/anole/qjs --std -m /run/anole/main.${extension}
`;

/** What is mounted below mounts of /etc/fstab. */
const lateMounts = `cgroup2 /newroot/sys/fs/cgroup cgroup2 nosuid,nodev,noexec 0 0
devpts /newroot/dev/pts devpts gid=5,mode=620,ptmxmode=666 0 0
shm /newroot/dev/shm tmpfs nosuid,nodev,mode=1777 0 0
`;

const encoder = new TextEncoder();

/** Everything of the first file system that is the same for each start. */
export async function guestEntries(tools: GuestTools): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [
    { path: 'anole', type: 'directory', mode: 0o755 },
    { path: 'dev', type: 'directory', mode: 0o755 },
    { path: 'dev/console', type: 'character', mode: 0o600, major: 5, minor: 1 },
    { path: 'dev/null', type: 'character', mode: 0o666, major: 1, minor: 3 },
    { path: 'etc', type: 'directory', mode: 0o755 },
    { path: 'newroot', type: 'directory', mode: 0o755 },
  ];
  for (const [name, bytes] of Object.entries(tools) as [string, Uint8Array][]) {
    entries.push({ path: `anole/${name}`, type: 'file', mode: 0o755, bytes });
  }
  return [...entries, ...(await agentFiles())];
}

/** What anole itself puts there: the first process, its table of mounts, the agent's modules. */
export async function agentFiles(): Promise<(CpioEntry & { readonly type: 'file' })[]> {
  const file = (path: string, mode: number, bytes: Uint8Array) =>
    ({ path, type: 'file', mode, bytes }) as const;
  // Not loaded but for a new agent: it brings all of the network with it.
  const { networkSetup } = await import('./network.ts');
  const modules = agentModules.map(async (name) =>
    file(`anole/${name}`, 0o644, await agentModule(name)),
  );
  return [
    file('init', 0o755, encoder.encode(init(networkSetup))),
    file('etc/fstab', 0o644, encoder.encode(mounts)),
    file('anole/fstab', 0o644, encoder.encode(lateMounts)),
    file('anole/launch', 0o755, launchProgram),
    file('anole/renew', 0o755, renewProgram),
    file('anole/sync', 0o755, syncProgram),
    ...(await Promise.all(modules)),
  ];
}

/**
 * Tells whether {@link agentFiles} would give something else than before, without making them: by
 * size and time of what they are made of.
 */
export function agentStamp(): string {
  const own = ['boot', 'contents', 'cpio', 'elf', 'launch', 'network', 'renew', 'sync'].map(
    (name) => `./${name}.${extension}`,
  );
  const modules = agentModules.map((name) => `../agent/${name}`);
  const parts = [...own, ...modules].map((name) => {
    const { mtimeMs, size } = statSync(new URL(name, import.meta.url));
    return `${name}:${size}:${mtimeMs}`;
  });
  return parts.join();
}

/** A module of the agent as QuickJS runs it: without types, comments and empty lines. */
async function agentModule(name: string): Promise<Uint8Array> {
  const text = await readFile(new URL(`../agent/${name}`, import.meta.url), 'utf8');
  const script = extension === 'ts' ? stripTypeScriptTypes(text) : text;
  const short = script.replace(/^\s*(\/\/|\/?\*).*$/gm, '').replace(/[ \t]*\n+/g, '\n');
  return encoder.encode(short);
}
