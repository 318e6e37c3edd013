import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { fileSource } from '@anole/host';
import { type ImageReader, type LayerIndex, mediaTypes, openIndexedLayer } from '@anole/oci';
import { indexLayer } from '@anole/oci/node';
import type { Report } from './harness.ts';

/** Real content, text and programs, that every Debian has. */
const content = ['usr/lib/git-core', 'usr/share/perl', 'usr/lib/python3', 'usr/share/doc'];
const CHUNK = 512 * 1024;
const READS = 200;

/** The index of a gzip layer, beside inflating the layer with zlib; and reads through it. */
export default async function ociIndex(report: Report): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'anole-bench-'));
  try {
    const path = join(directory, 'layer.tar.gz');
    const script = 'path=$1; shift; tar -C / -cf - "$@" | gzip -6 > "$path"';
    execFileSync('sh', ['-c', script, 'sh', path, ...content], { stdio: 'ignore' });
    const bytes = readFileSync(path);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const layer = { mediaType: mediaTypes.layerGzip, digest, size: bytes.length };
    const reader = {
      name: path,
      blob: () => createReadStream(path, { highWaterMark: CHUNK }),
    } as unknown as ImageReader;
    let index: LayerIndex | undefined;
    report.note(`a layer of ${Math.round(bytes.length / 1e6)} MB; time of processors`);
    await report.compare({
      name: 'index a gzip layer, as SOCI has it',
      ours: {
        name: 'anole',
        run: () =>
          cpuSeconds(async () => {
            index = await indexLayer(reader, layer);
          }),
      },
      peer: { name: 'inflating it with zlib', run: () => cpuSeconds(() => inflate(path)) },
      target: 1.3,
    });
    await randomReads(report, path, index!);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function inflate(path: string): Promise<void> {
  const stream = createReadStream(path, { highWaterMark: CHUNK });
  for await (const _ of stream.pipe(createGunzip({ chunkSize: 256 * 1024 })));
}

/** Processor time of all threads. */
async function cpuSeconds(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** 4 KiB here and there, where nothing is kept of what was decoded before. */
async function randomReads(report: Report, path: string, index: LayerIndex): Promise<void> {
  using stored = fileSource(path);
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const source = openIndexedLayer(index, stored, { kept: 0, sha256 });
  let state = 1;
  const start = performance.now();
  for (let read = 0; read < READS; read++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    await source.read(Math.floor((state / 2 ** 32) * (source.size - 4096)), 4096);
  }
  report.figure('a random read of 4 KiB', (performance.now() - start) / READS, 'ms');
}
