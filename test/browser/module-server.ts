import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';

const root = join(import.meta.dirname, '../..');

interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, { readonly 'anole-source'?: string }>>;
}

/** Where a page finds each entry point of our packages. */
function importMap(): string {
  const imports: Record<string, string> = {};
  for (const directory of readdirSync(join(root, 'packages'))) {
    const file = join(root, 'packages', directory, 'package.json');
    const { name, exports = {} } = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
    for (const [entry, conditions] of Object.entries(exports)) {
      const source = conditions['anole-source'];
      if (source) imports[join(name, entry)] = join('/packages', directory, source);
    }
  }
  return JSON.stringify({ imports });
}

/**
 * A loopback server with a page whose scripts may import our packages by name: sources are served as
 * they are, without their types. There is no build.
 */
export class ModuleServer implements AsyncDisposable {
  /** Markup of the page's body; scripts in it are modules if they say so. */
  body = '';
  /** Other files, by path. */
  readonly files = new Map<string, { readonly type: string; readonly bytes: Uint8Array }>();
  readonly #server = createServer((request, response) => this.#answer(request, response));

  /** Gives the address of the page. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #answer({ url = '/' }: IncomingMessage, response: ServerResponse): void {
    const path = normalize(decodeURIComponent(new URL(url, 'http://host').pathname));
    const file = this.files.get(path);
    if (file) return void response.setHeader('content-type', file.type).end(file.bytes);
    if (path === '/') return void response.setHeader('content-type', 'text/html').end(this.#page());
    if (!/^\/packages\/[^/]+\/src\/.*\.ts$/.test(path)) return void response.writeHead(404).end();
    try {
      const code = stripTypeScriptTypes(readFileSync(join(root, path), 'utf8'));
      response.setHeader('content-type', 'text/javascript').end(code);
    } catch {
      response.writeHead(404).end();
    }
  }

  #page(): string {
    return `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
      <script type="importmap">${importMap()}</script><body>${this.body}</body>`;
  }
}
