import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { AnoleError } from '@anole/bytes';
import type { FileInfo } from '@anole/sandbox';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { ask, send } from '../daemon/client.ts';
import { act, usageError } from '../frame.ts';

const help = `
One of the two is NAME:PATH, an absolute path in a sandbox. A directory is copied with all that is in it;
symbolic links in it are left out. Into a directory that is there, under the name that it has.

Examples:
  anole cp src web:/work
  anole cp web:/work/result.bin .`;

/** `anole cp`: files between this computer and a sandbox. */
export function cpCommand(): Command {
  return new Command('cp')
    .description('copy files into a sandbox, or out of it')
    .argument('<from>', 'PATH or NAME:PATH')
    .argument('<to>', 'NAME:PATH or PATH')
    .addHelpText('after', help)
    .action(act(cp));
}

interface Inside {
  readonly name: string;
  readonly path: string;
}

async function cp(context: CommandContext, from: string, to: string): Promise<number> {
  const source = insideOf(from);
  const target = insideOf(to);
  if ((source === undefined) === (target === undefined)) {
    throw usageError('Cannot copy: one of the two must be NAME:/PATH', 'cp');
  }
  const count = source !== undefined ? await copyOut(source, to) : await copyIn(from, target!);
  if (context.json) context.out(JSON.stringify({ files: count }));
  return 0;
}

function insideOf(text: string): Inside | undefined {
  const match = /^([A-Za-z0-9][A-Za-z0-9_.-]*):(\/.*)$/.exec(text);
  return match === null ? undefined : { name: match[1]!, path: match[2]! };
}

async function copyIn(from: string, { name, path }: Inside): Promise<number> {
  const there = await find({ name, path });
  const to = there?.type === 'directory' ? `${path.replace(/\/+$/, '')}/${basename(from)}` : path;
  return await putInto(name, from, to);
}

async function putInto(name: string, from: string, to: string): Promise<number> {
  const info = await stat(from);
  if (!info.isDirectory()) {
    const request = { verb: 'file-write', name, path: to, mode: info.mode & 0o777 } as const;
    await send(request, createReadStream(from));
    return 1;
  }
  await ask({ verb: 'file-mkdir', name, path: to });
  let count = 0;
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!entry.isFile() && !entry.isDirectory()) continue;
    count += await putInto(name, join(from, entry.name), `${to}/${entry.name}`);
  }
  return count;
}

async function copyOut(source: Inside, to: string): Promise<number> {
  const info = await ask<FileInfo>({ verb: 'file-stat', ...source });
  const there = await stat(to).catch(() => undefined);
  return await takeOut(source.name, info, there?.isDirectory() ? join(to, info.name) : to);
}

async function takeOut(name: string, info: FileInfo, to: string): Promise<number> {
  if (info.type !== 'directory') {
    await takeFile(name, info, to);
    return 1;
  }
  await mkdir(to, { recursive: true });
  let count = 0;
  for (const entry of await ask<FileInfo[]>({ verb: 'file-list', name, path: info.path })) {
    if (entry.type !== 'file' && entry.type !== 'directory') continue;
    // Names come from the guest: none leads out of the directory.
    if (entry.name.includes('/') || entry.name === '..' || entry.name === '') continue;
    count += await takeOut(name, entry, join(to, entry.name));
  }
  return count;
}

async function takeFile(name: string, { path, mode }: FileInfo, to: string): Promise<void> {
  const file = createWriteStream(to, { mode: mode & 0o777 });
  const written = finished(file);
  written.catch(() => {});
  const failed = new Promise<never>((_, reject) => file.once('error', reject));
  failed.catch(() => {});
  const onFrame = async ({ payload }: { readonly payload: Uint8Array }) => {
    if (file.write(payload.slice())) return;
    await Promise.race([new Promise<void>((resolve) => file.once('drain', resolve)), failed]);
  };
  await ask({ verb: 'file-read', name, path }, { onFrame });
  file.end();
  await written;
}

async function find(place: Inside): Promise<FileInfo | undefined> {
  try {
    return await ask<FileInfo>({ verb: 'file-stat', ...place });
  } catch (error) {
    if (AnoleError.is(error) && error.code === 'VFS_NOT_FOUND') return undefined;
    throw error;
  }
}
