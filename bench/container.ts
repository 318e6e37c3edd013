import { spawnSync } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureImage } from '@anole/compose';
import { openErofs } from '@anole/erofs';
import { fileSource, unpackTree } from '@anole/host';
import { hasProgram, runProgram } from './programs.ts';

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Without control groups, which a container's container may not make. */
export function runtimeOptions(runtime: string): readonly string[] {
  return runtime === 'crun' ? ['--cgroup-manager=disabled'] : [];
}

/** Makes the bundle of a container; says why there is none. */
export async function bundle(runtime: string, directory: string): Promise<string | undefined> {
  const architecture = architectures[process.arch];
  if (!hasProgram(runtime)) return `${runtime} is not installed`;
  if (process.getuid?.() !== 0) return 'containers need root';
  if (architecture === undefined) return `no image for ${process.arch}`;
  await rm(join(directory, 'config.json'), { force: true });
  const image = await ensureImage('base', { architecture });
  const root = join(directory, 'rootfs');
  await rm(root, { recursive: true, force: true });
  using source = fileSource(image.path);
  await unpackTree(await openErofs(source), root);
  runProgram(runtime, ['spec', '--bundle', directory]);
  const path = join(directory, 'config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as { process: Record<string, unknown> };
  Object.assign(config.process, { terminal: false, args: ['echo', 'hi'] });
  await writeFile(path, JSON.stringify(config));
  const { status, stderr } = spawnSync(
    runtime,
    [...runtimeOptions(runtime), 'run', '--bundle', directory, 'anole-try'],
    {
      encoding: 'utf8',
    },
  );
  return status === 0 ? undefined : `${runtime} cannot run here: ${stderr.trim().slice(0, 200)}`;
}
