import { crc32c, type Source } from '@anole/bytes';
import { type FuseFork, type FuseState, readFuseFork } from '@anole/fuse';
import { type FileSource, fileSource } from '@anole/host';
import type { ConnectionRecord } from '@anole/net';
import { type ChunkStore, type OverlayState, readOverlay, sliceSource } from '@anole/vfs';
import { protocolVersion, toHost } from '../agent/wire.ts';
import { FrameReader, versionOf } from '../client/frames.ts';
import { SandboxError } from '../errors.ts';
import { type Description, parseDescription } from './description.ts';
import { damaged, foreign, otherVersion } from './errors.ts';
import * as L from './layout.ts';

interface Entry {
  readonly sum: number;
  readonly offset: number;
  readonly length: number;
}

/** What the guest knows of what is behind its devices. */
export interface SavedGuest {
  readonly hello: Uint8Array;
  readonly volumes: readonly FuseState[];
  readonly connections: readonly ConnectionRecord[];
  readonly overlay: OverlayState;
  readonly kernel: FuseFork;
}

/** A sandbox in a file, open until it is disposed of. Its sections are read when they are asked for. */
export class SavedFile implements Disposable {
  readonly source: FileSource;
  readonly #entries: ReadonlyMap<number, Entry>;

  /**
   * Opens a file and checks its head.
   *
   * @throws SandboxError `SANDBOX_FILE_FOREIGN`, `SANDBOX_FILE_VERSION`, `SANDBOX_FILE_DAMAGED`;
   *   HostError `HOST_NOT_FOUND` …
   */
  constructor(path: string) {
    this.source = fileSource(path);
    try {
      this.#entries = readHead(this.source);
    } catch (error) {
      this.source.close();
      throw error;
    }
  }

  /** The file for other threads of this process, whatever becomes of its name. */
  get path(): string {
    return `/proc/self/fd/${this.source.fd}`;
  }

  description(): Description {
    return parseDescription(this.#section(L.Section.description, L.MAX_DESCRIPTION));
  }

  /** @throws SandboxError `SANDBOX_FILE_VERSION` for its agent, `SANDBOX_FILE_DAMAGED` */
  guest(): SavedGuest {
    try {
      const { hello, volumes, connections } = devicesOf(this.#section(L.Section.devices));
      const overlay = readOverlay(linesOf(this.#section(L.Section.overlay)));
      const kernel = readFuseFork(linesOf(this.#section(L.Section.kernel)));
      return { hello, volumes, connections, overlay, kernel };
    } catch (cause) {
      if (cause instanceof SandboxError) throw cause;
      throw damaged('what it says of its files makes no sense', cause);
    }
  }

  /** @param source that of the file, or one that reads it faster */
  machine(source: Source = this.source): Source {
    const { offset, length } = this.#entries.get(L.Section.machine)!;
    return sliceSource(source, offset, length);
  }

  get chunks(): ChunkStore {
    const { offset: start, length: all } = this.#entries.get(L.Section.chunks)!;
    return {
      read: ({ offset, length, sum }) => {
        if (offset + length > all) throw damaged('bytes of a file lie behind its end');
        const bytes = this.source.read(start + offset, length);
        if (crc32c(bytes) !== sum) throw damaged('bytes of a file are not what was written');
        return bytes;
      },
    };
  }

  [Symbol.dispose](): void {
    this.source.close();
  }

  #section(kind: number, limit = Number.POSITIVE_INFINITY): Uint8Array {
    const { offset, length, sum } = this.#entries.get(kind)!;
    if (length > limit) throw damaged(`section ${kind} has ${length} bytes`);
    const bytes = this.source.read(offset, length);
    if (crc32c(bytes) !== sum) throw damaged(`section ${kind} is not what was written`);
    return bytes;
  }
}

function readHead(source: Source): Map<number, Entry> {
  const head = readNow(source, 0, Math.min(source.size, L.HEAD_SIZE));
  if (new TextDecoder().decode(head.subarray(0, L.MAGIC.length)) !== L.MAGIC) {
    throw foreign('the file is none', 'Give a file that `anole snapshot` wrote');
  }
  if (head.length < L.HEAD_SIZE) throw damaged('the file ends within its header');
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const version = view.getUint32(L.HEADER.version, true);
  if (version < L.OLDEST_VERSION || version > L.VERSION) {
    throw otherVersion('file', version, L.VERSION);
  }
  const sum = view.getUint32(L.HEADER.sum, true);
  view.setUint32(L.HEADER.sum, 0, true);
  if (crc32c(head) !== sum) throw damaged('its header is not what was written');
  const size = view.getBigUint64(L.HEADER.size, true);
  if (size !== BigInt(source.size)) throw damaged(`it has ${source.size} bytes instead of ${size}`);
  const entries = readTable(view, source.size);
  checkPadding(source, entries);
  return entries;
}

/** Between the sections nothing lies but what aligns the machine. */
function checkPadding(source: Source, entries: ReadonlyMap<number, Entry>): void {
  const { offset: end } = entries.get(L.Section.machine)!;
  const { offset, length } = entries.get(L.Section.chunks)!;
  const padding = end - offset - length;
  const isRight = padding >= 0 && padding < L.MACHINE_ALIGNMENT;
  if (isRight && readNow(source, end - padding, padding).every((byte) => byte === 0)) return;
  throw damaged('its sections do not lie one behind the other');
}

function readTable(view: DataView, size: number): Map<number, Entry> {
  const entries = new Map<number, Entry>();
  for (let at: number = L.HEADER.end; at < view.byteLength; at += L.ENTRY.end) {
    const entry = {
      sum: view.getUint32(at + L.ENTRY.sum, true),
      offset: Number(view.getBigUint64(at + L.ENTRY.offset, true)),
      length: Number(view.getBigUint64(at + L.ENTRY.length, true)),
    };
    if (entry.offset + entry.length > size) throw damaged('a section lies behind its end');
    entries.set(view.getUint32(at + L.ENTRY.kind, true), entry);
  }
  if (Object.values(L.Section).some((kind) => !entries.has(kind))) throw damaged('bad sections');
  return entries;
}

function readNow(source: Source, offset: number, length: number): Uint8Array {
  return new Uint8Array(source.read(offset, length) as Uint8Array);
}

function devicesOf(bytes: Uint8Array): Pick<SavedGuest, 'hello' | 'volumes' | 'connections'> {
  const { hello, volumes, connections } = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly hello: unknown;
    readonly volumes: readonly FuseState[];
    readonly connections: readonly ConnectionRecord[];
  };
  const valid = typeof hello === 'string' && Array.isArray(volumes) && isRecords(connections);
  if (!valid) throw damaged('what it says of its devices makes no sense');
  const greeting = new Uint8Array(Buffer.from(hello, 'base64'));
  checkAgent(greeting);
  return { hello: greeting, volumes, connections };
}

/** Before its machine runs: commands in it go on at once, whoever listens. */
function checkAgent(greeting: Uint8Array): void {
  const version = greetingVersion(greeting);
  if (version === undefined) throw damaged('its agent does not say who it is');
  if (version !== protocolVersion) throw otherVersion('agent', version, protocolVersion);
}

function greetingVersion(greeting: Uint8Array): number | undefined {
  try {
    const [hello] = new FrameReader().read(greeting);
    const version = hello?.type === toHost.hello ? versionOf(hello) : Number.NaN;
    return Number.isInteger(version) ? version : undefined;
  } catch {
    // It is no frame, or no report.
    return undefined;
  }
}

function isRecords(records: unknown): boolean {
  const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 0;
  return (
    Array.isArray(records) &&
    records.every((record: Partial<ConnectionRecord> | null) => {
      const { remote, guestPort, sequence, acknowledgment } = record ?? {};
      const parts = [remote?.address, remote?.port, guestPort, sequence, acknowledgment];
      return parts.every(isCount);
    })
  );
}

function* linesOf(bytes: Uint8Array): Generator<string> {
  const decoder = new TextDecoder();
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    if (end < 0) throw damaged('a line does not end');
    yield decoder.decode(bytes.subarray(at, end));
    at = end + 1;
  }
}
