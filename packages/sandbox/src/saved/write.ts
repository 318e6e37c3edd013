import { type CallOptions, crc32c } from '@anole/bytes';
import { writeFuseFork } from '@anole/fuse';
import { createFileAtomically } from '@anole/host';
import { forkPieces } from '@anole/machine/runtime';
import { type StoredChunk, writeOverlay } from '@anole/vfs';
import { type Base, openBase } from '../engine/base.ts';
import type { SandboxFork } from '../engine/messages.ts';
import type { Description } from './description.ts';
import { FileWriter } from './file-writer.ts';
import * as L from './layout.ts';

const encoder = new TextEncoder();

interface Entry {
  readonly kind: number;
  readonly sum: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Writes a sandbox, as a fork has it, into a file that is there whole or not at all.
 *
 * @throws HostError such as `HOST_NO_SPACE`; MachineError where the file that the fork stands on is
 *   not what it was
 */
export async function writeSaved(
  path: string,
  description: Description,
  fork: SandboxFork,
  { signal }: Pick<CallOptions, 'signal'> = {},
): Promise<void> {
  using base = fork.base === undefined ? undefined : openBase(fork.base);
  await createFileAtomically(
    path,
    async (file) => {
      const writer = new FileWriter(file, L.HEAD_SIZE, signal);
      const entries: Entry[] = [];
      const section = async (kind: number, write: () => Promise<void>, ownSums = false) => {
        writer.begin();
        const offset = writer.position;
        await write();
        const sum = ownSums ? 0 : writer.sum;
        entries.push({ kind, sum, offset, length: writer.position - offset });
      };
      await writeSections(writer, section, { description, fork, base });
      await writer.flush();
      await file.write(headOf(entries, writer.position), 0, L.HEAD_SIZE, 0);
    },
    { mode: 0o600, durable: true, ...(signal && { signal }) },
  );
}

interface Saved {
  readonly description: Description;
  readonly fork: SandboxFork;
  readonly base: Base | undefined;
}

async function writeSections(
  writer: FileWriter,
  section: (kind: number, write: () => Promise<void>, ownSums?: boolean) => Promise<void>,
  { description, fork, base }: Saved,
): Promise<void> {
  const json = (value: unknown) => writer.write(encoder.encode(JSON.stringify(value)));
  const lines = async (from: Iterable<string>) => {
    for (const line of from) await writer.write(encoder.encode(`${line}\n`));
  };
  await section(L.Section.description, () => json(description));
  const { volumes, connections } = fork;
  const hello = Buffer.from(fork.hello).toString('base64');
  await section(L.Section.devices, () => json({ hello, volumes, connections }));
  const chunks = new Chunks(base);
  await section(L.Section.overlay, () =>
    lines(writeOverlay(fork.root.tree, (chunk) => chunks.place(chunk))),
  );
  await section(L.Section.kernel, () => lines(writeFuseFork(fork.root.server)));
  const writeChunks = async () => {
    for (const chunk of chunks.all) await writer.write(chunks.bytesOf(chunk));
  };
  await section(L.Section.chunks, writeChunks, true);
  await writer.write(new Uint8Array(-writer.position & (L.MACHINE_ALIGNMENT - 1)));
  const writeMachine = async () => {
    for (const piece of forkPieces(fork.machine, base?.snapshot)) await writer.write(piece);
  };
  await section(L.Section.machine, writeMachine, true);
}

/** Gives chunks of files their places. */
class Chunks {
  readonly all: (Uint8Array | StoredChunk)[] = [];
  readonly #base: Base | undefined;
  #end = 0;

  constructor(base: Base | undefined) {
    this.#base = base;
  }

  place(chunk: Uint8Array | StoredChunk): StoredChunk {
    const { length } = chunk;
    const offset = this.#end;
    const sum = chunk instanceof Uint8Array ? crc32c(chunk) : chunk.sum;
    if (length > 0) this.all.push(chunk);
    this.#end += length;
    return { length, offset, sum };
  }

  bytesOf(chunk: Uint8Array | StoredChunk): Uint8Array {
    return chunk instanceof Uint8Array ? chunk : this.#base!.chunks!.read(chunk);
  }
}

function headOf(entries: readonly Entry[], size: number): Uint8Array {
  const bytes = new Uint8Array(L.HEAD_SIZE);
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode(L.MAGIC), L.HEADER.magic);
  view.setUint32(L.HEADER.version, L.VERSION, true);
  view.setUint32(L.HEADER.sections, L.SECTION_COUNT, true);
  view.setBigUint64(L.HEADER.size, BigInt(size), true);
  for (const [index, { kind, sum, offset, length }] of entries.entries()) {
    const at = L.HEADER.end + index * L.ENTRY.end;
    view.setUint32(at + L.ENTRY.kind, kind, true);
    view.setUint32(at + L.ENTRY.sum, sum, true);
    view.setBigUint64(at + L.ENTRY.offset, BigInt(offset), true);
    view.setBigUint64(at + L.ENTRY.length, BigInt(length), true);
  }
  view.setUint32(L.HEADER.sum, crc32c(bytes), true);
  return bytes;
}
