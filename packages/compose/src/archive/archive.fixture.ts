import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import * as openpgp from 'openpgp';
import type { ArchiveRequest } from './types.ts';

/** Noon of a day long after the making of the keys, which all tests share. */
export const now = Date.UTC(2026, 0, 2, 12);
const created = new Date(Date.UTC(2025, 0, 1));

export function scratchDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anole-archive-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface SigningKey {
  readonly private: openpgp.PrivateKey;
  readonly public: openpgp.PublicKey;
}

export interface KeyOptions {
  readonly name?: string;
  /** Seconds after its making that the key expires. */
  readonly expires?: number;
  readonly rsaBits?: number;
}

export async function makeKey(options: KeyOptions = {}): Promise<SigningKey> {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: options.name ?? 'Test Archive', email: 'test@archive.invalid' }],
    date: created,
    format: 'object',
    ...(options.expires === undefined ? {} : { keyExpirationTime: options.expires }),
    ...(options.rsaBits === undefined
      ? { type: 'ecc' as const, curve: 'ed25519Legacy' as const }
      : { type: 'rsa' as const, rsaBits: options.rsaBits }),
    config: { minRSABits: 1024 },
  });
  return { private: privateKey, public: publicKey };
}

let shared: Promise<SigningKey> | undefined;

/** A key that tests which do not care may share: making one takes time. */
export function sharedKey(): Promise<SigningKey> {
  shared ??= makeKey();
  return shared;
}

export interface SignOptions {
  readonly date?: Date;
}

/** Clear-signs a text with all the keys. */
export async function clearSign(
  text: string,
  keys: readonly SigningKey[],
  options: SignOptions = {},
): Promise<string> {
  return openpgp.sign({
    message: await openpgp.createCleartextMessage({ text }),
    signingKeys: keys.map((key) => key.private),
    date: options.date ?? new Date(now - 3_600_000),
    config: { minRSABits: 1024 },
  });
}

export interface TestPackage {
  readonly name: string;
  readonly version?: string;
  readonly content?: string | Uint8Array;
  /** Further fields of its paragraph. */
  readonly fields?: Readonly<Record<string, string>>;
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The paragraph that describes a package, with its path and the hash of its content. */
export function paragraph({ name, version = '1.0', content = name, fields }: TestPackage): string {
  const all: Record<string, string> = {
    Package: name,
    Version: version,
    Architecture: 'riscv64',
    ...fields,
    Filename: `pool/${name}_${version.replace(':', '%3a')}_riscv64.deb`,
    Size: String(Buffer.byteLength(content)),
    SHA256: sha256(content),
  };
  const lines = Object.entries(all).map(([key, value]) => `${key}: ${value}`);
  return `${lines.join('\n')}\n`;
}

export interface TestArchive {
  readonly suite?: string;
  readonly codename?: string;
  readonly packages: readonly TestPackage[];
  /** Further lines of the Release file, or other values for those that it has. */
  readonly release?: Readonly<Record<string, string>>;
  readonly keys?: readonly SigningKey[];
  readonly sign?: SignOptions;
  /** Compresses the index, when not gzip. */
  readonly pack?: (index: Uint8Array) => Uint8Array;
}

/** The files of an archive with one suite, by their paths. */
export async function makeArchive(archive: TestArchive): Promise<Map<string, Uint8Array>> {
  const { suite = 'trixie', packages } = archive;
  const files = new Map<string, Uint8Array>();
  const index = Buffer.from(packages.map(paragraph).join('\n'));
  const packed = (archive.pack ?? gzipSync)(index);
  const path = 'main/binary-riscv64/Packages';
  const fields: Record<string, string> = {
    Origin: 'Debian',
    Suite: 'stable',
    Codename: archive.codename ?? suite,
    Version: '13.1',
    Date: new Date(now - 7_200_000).toUTCString().replace('GMT', 'UTC'),
    'Acquire-By-Hash': 'yes',
    Architectures: 'riscv64',
    Components: 'main',
    ...archive.release,
  };
  const lines = Object.entries(fields).map(([key, value]) => `${key}: ${value}`);
  const sums = [
    ` ${sha256(index)} ${index.length} ${path}`,
    ` ${sha256(packed)} ${packed.length} ${path}.gz`,
  ];
  const text = [...lines, 'SHA256:', ...sums, ''].join('\n');
  const keys = archive.keys ?? [await sharedKey()];
  const base = `dists/${suite}`;
  files.set(`${base}/InRelease`, Buffer.from(await clearSign(text, keys, archive.sign)));
  files.set(`${base}/${path}.gz`, packed);
  files.set(`${base}/main/binary-riscv64/by-hash/SHA256/${sha256(packed)}`, packed);
  for (const each of packages) {
    const { name, version = '1.0', content = name } = each;
    files.set(`pool/${name}_${version.replace(':', '%3a')}_riscv64.deb`, Buffer.from(content));
  }
  return files;
}

/** Answers a request itself (and returns true) or leaves it to the server. */
export type Hook = (path: string, request: IncomingMessage, response: ServerResponse) => boolean;

/** A mirror on the loopback interface. */
export interface LoopbackMirror {
  /** Base URI, ending with '/debian/'. */
  readonly uri: string;
  /** Paths asked for, in order. */
  readonly requests: string[];
  readonly files: Map<string, Uint8Array>;
  hook: Hook;
}

/** Serves the files, with ranges and conditional requests, until the test ends. */
export async function serve(
  context: TestContext,
  files: Map<string, Uint8Array>,
): Promise<LoopbackMirror> {
  const mirror = { uri: '', requests: [] as string[], files, hook: (() => false) as Hook };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://host').pathname).replace(
      /^\/debian\//,
      '',
    );
    mirror.requests.push(path);
    if (!mirror.hook(path, request, response)) answer(request, response, files.get(path));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  mirror.uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian/`;
  return mirror;
}

function answer(request: IncomingMessage, response: ServerResponse, file?: Uint8Array): void {
  if (file === undefined) return void response.writeHead(404).end('no such file');
  const etag = `"${sha256(file)}"`;
  if (request.headers['if-none-match'] === etag) return void response.writeHead(304).end();
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const start = range === null ? 0 : Number(range[1]);
  if (start > 0 && start >= file.length) return void response.writeHead(416).end();
  const headers = { etag, 'content-length': file.length - start };
  if (start === 0) response.writeHead(200, headers);
  else {
    const contentRange = `bytes ${start}-${file.length - 1}/${file.length}`;
    response.writeHead(206, { ...headers, 'content-range': contentRange });
  }
  response.end(file.subarray(start));
}

/**
 * Asks broken mirrors again at once. It is no less patient than usual with silent ones: the mirror is in this
 * process, and a computer that has other things to do makes both silent.
 */
export const network = { retries: 2, pause: 1 };

/** A request that sees nothing of this machine: its own cache, keyring and apt configuration. */
export async function requestFor(
  context: TestContext,
  mirror: Pick<LoopbackMirror, 'uri'>,
  keys?: readonly SigningKey[],
): Promise<ArchiveRequest> {
  const root = scratchDirectory(context);
  const keyring = join(root, 'keyring.gpg');
  const ring = keys ?? [await sharedKey()];
  writeFileSync(keyring, Buffer.concat(ring.map((key) => key.public.write())));
  mkdirSync(join(root, 'etc/apt'), { recursive: true });
  return {
    mirror: mirror.uri,
    suites: ['trixie'],
    components: ['main'],
    architecture: 'riscv64',
    cache: join(root, 'cache'),
    keyring,
    root,
    environment: {},
    now,
    network,
  };
}
