import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, statfs } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { cacheDirectory } from '@anole/host';
import { formatBytes } from '../progress.ts';
import type { Finding } from './check.ts';

const floor = 24;
const wantedSpace = 2e9; // an image, its packages, a kernel
const wantedMemory = 1.5e9;

export function node(): Finding {
  const found = process.version;
  if (Number.parseInt(process.versions.node, 10) >= floor)
    return { name: 'node', state: 'ok', found };
  return {
    name: 'node',
    state: 'missing',
    found,
    next: `Install Node ${floor}, or run npm ci again`,
  };
}

/** The proposals of WebAssembly that the machine's code needs, each tried with a smallest module. */
export function webAssembly(): Finding {
  const missing = Object.entries(features).filter(([, module]) => !WebAssembly.validate(module));
  const names = Object.keys(features).join(', ');
  if (missing.length === 0) return { name: 'webassembly', state: 'ok', found: names };
  const found = `no ${missing.map(([name]) => name).join(', ')}`;
  return { name: 'webassembly', state: 'missing', found, next: `Use Node ${floor} or later` };
}

const prelude = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const features: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  // (func (drop (i32.extend8_s (i32.const 0))))
  'sign extension': module([0x41, 0, 0xc0, 0x1a]),
  // (func (drop (i32.trunc_sat_f32_s (f32.const 0))))
  'saturating conversion': module([0x43, 0, 0, 0, 0, 0xfc, 0, 0x1a]),
  // (func (return_call 0))
  'tail calls': module([0x12, 0]),
  // (func (drop (v128.const 0)))
  simd: module([0xfd, 12, ...new Array<number>(16).fill(0), 0x1a]),
};

/** A module of one function without parameters and results. */
function module(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const code = [0, ...body, 0x0b];
  const types = [1, 4, 1, 0x60, 0, 0];
  const functions = [3, 2, 1, 0];
  return Uint8Array.from([
    ...prelude,
    ...types,
    ...functions,
    10,
    code.length + 2,
    1,
    code.length,
    ...code,
  ]);
}

export async function cache(): Promise<Finding> {
  const directory = cacheDirectory();
  try {
    await mkdir(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    const { bavail, bsize } = await statfs(directory);
    const found = `${directory}, ${formatBytes(bavail * bsize)} free`;
    if (bavail * bsize >= wantedSpace) return { name: 'cache', state: 'ok', found };
    const next = `Free some space: ${formatBytes(wantedSpace)} serve well, or set ANOLE_CACHE`;
    return { name: 'cache', state: 'missing', found, next };
  } catch (error) {
    const found = `${directory}: ${error instanceof Error ? error.message : error}`;
    const next = 'Set ANOLE_CACHE to a directory that you may write to';
    return { name: 'cache', state: 'missing', found, next };
  }
}

export function memory(): Finding {
  const available = limitOfGroup() ?? totalmem();
  const found = `${formatBytes(available)}, ${formatBytes(Math.min(freemem(), available))} free`;
  if (available >= wantedMemory) return { name: 'memory', state: 'ok', found };
  const next = 'Give machines less, as in anole run --memory 256M';
  return { name: 'memory', state: 'optional', found, next };
}

/** The bound of the control group this process is in, where there is one. */
function limitOfGroup(): number | undefined {
  try {
    const group = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
    const text = readFileSync(`/sys/fs/cgroup${group}/memory.max`, 'utf8');
    return Number.isFinite(Number(text)) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

export function terminal(): Finding {
  const found = process.stdout.isTTY
    ? `${process.env['TERM'] ?? 'unknown'}, ${process.stdout.columns} x ${process.stdout.rows}`
    : 'standard output is none';
  if (process.stdout.isTTY && process.stdin.isTTY) return { name: 'terminal', state: 'ok', found };
  return {
    name: 'terminal',
    state: 'optional',
    found,
    next: 'Without one, anole run -t cannot serve',
  };
}

export function kvm(): Finding {
  return device('kvm', '/dev/kvm', 'The built-in machine needs none; QEMU would be faster with it');
}

export function fuse(): Finding {
  return device('fuse', '/dev/fuse', 'Only mounts on this computer need it');
}

function device(name: string, path: string, next: string): Finding {
  if (!existsSync(path)) return { name, state: 'optional', found: `no ${path}`, next };
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return { name, state: 'ok', found: path };
  } catch {
    const group = statSync(path).gid;
    return { name, state: 'optional', found: `${path} is closed to you (group ${group})`, next };
  }
}

export function erofs(): Finding {
  const listed = existsSync('/proc/filesystems') && readFileSync('/proc/filesystems', 'utf8');
  if (listed && /\berofs\b/.test(listed)) {
    return { name: 'erofs', state: 'ok', found: 'in this kernel' };
  }
  const found = 'not loaded in this kernel';
  const next = 'Only mounts on this computer need it: modprobe erofs';
  return { name: 'erofs', state: 'optional', found, next };
}
