import { chmod, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import type { Exported, Exports } from '../export/exports.ts';
import { httpExports } from '../export/http-exports.ts';
import { serveNbd } from '../export/nbd-session.ts';
import { diskOf } from '../on-demand/disk.ts';
import type { OnDemandImage } from '../on-demand/image.ts';

/** Where to listen: a Unix socket that only its user can open, or a port of an address. */
export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** Images that clients may read as disks. */
export interface ExportOptions {
  /** What users call them, and which they are. The first is the one of clients that name none. */
  readonly images: ReadonlyMap<string, string>;
  /** Where clients of NBD find them. */
  readonly nbd?: Address;
  /** Where they are read by ranges of HTTP. Pages of any origin may. */
  readonly http?: Address;
}

interface Around {
  open(image: string): Promise<OnDemandImage>;
  log(event: Readonly<Record<string, unknown>>): void;
}

/** Images that are open for clients, from the first that asks until the service ends. */
export class ExportedImages implements Exports, AsyncDisposable {
  readonly names: readonly string[];
  readonly #images: ReadonlyMap<string, string>;
  readonly #around: Around;
  readonly #open = new Map<string, Promise<OnDemandImage>>();
  readonly #servers: Server[] = [];
  readonly #clients = new Set<Socket>();

  private constructor(images: ReadonlyMap<string, string>, around: Around) {
    this.names = [...images.keys()];
    this.#images = images;
    this.#around = around;
  }

  /** Listens. @throws Error of Node's where it cannot */
  static async serve({ images, nbd, http }: ExportOptions, around: Around) {
    const exported = new ExportedImages(images, around);
    const onFailure = (name: string, error: unknown) =>
      around.log({ event: 'export', name, reason: String(error) });
    if (nbd) {
      const server = process.getBuiltinModule('node:net').createServer((client) => {
        client.setNoDelay(true);
        serveNbd(client, exported, { onFailure }).catch((error: unknown) => {
          around.log({ event: 'client', protocol: 'nbd', reason: String(error) });
        });
      });
      await exported.#listen('nbd', server, nbd);
    }
    if (http) await exported.#listen('http', httpExports(exported, onFailure), http);
    return exported;
  }

  async open(name: string): Promise<Exported> {
    const image = this.#images.get(name) ?? '';
    let opening = this.#open.get(name);
    if (opening === undefined) {
      opening = this.#around.open(image);
      this.#open.set(name, opening);
      opening.catch(() => this.#open.delete(name));
    }
    const { blobs, tree, digest } = await opening;
    return { source: diskOf(tree, blobs), digest };
  }

  async #listen(protocol: string, server: Server, address: Address): Promise<void> {
    if ('path' in address) await rm(address.path, { force: true });
    server.on('connection', (client: Socket) => {
      this.#clients.add(client);
      client.on('close', () => this.#clients.delete(client));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
    this.#servers.push(server);
    if ('path' in address) await chmod(address.path, 0o600);
    this.#around.log({ event: 'exports', protocol, at: server.address(), names: this.names });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const client of this.#clients) client.destroy();
    // One that cannot be opened has nothing to close.
    const opened = await Promise.allSettled(this.#open.values());
    for (const each of opened) if (each.status === 'fulfilled') await each.value.close();
  }
}
