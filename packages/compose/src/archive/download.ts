import { setTimeout as sleep } from 'node:timers/promises';
import { AnoleError } from '@anole/bytes';
import { type ContentStore, HostError, type PartialContent } from '@anole/host';
import { ArchiveError } from './errors.ts';
import {
  type Answer,
  type HttpClient,
  type NetworkOptions,
  shownUri,
  unreachable,
} from './http.ts';

/** A file whose content is known by its hash. */
export interface Target {
  /** Where it may be got, the best first. */
  readonly uris: readonly string[];
  readonly size: number;
  readonly sha256: string;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  readonly network?: NetworkOptions;
  /** Called with the bytes of the file that are there; it may fall when a server starts again. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Gets a file into the store and returns its path there. What an earlier attempt left is continued;
 * servers that fail for a while are asked again; those that lack the file or serve a wrong one are
 * passed over.
 *
 * @throws ArchiveError `ARCHIVE_NOT_FOUND`, `ARCHIVE_UNREACHABLE`, `ARCHIVE_WRONG_HASH`; HostError.
 */
export async function download(
  client: HttpClient,
  store: ContentStore,
  target: Target,
  options: DownloadOptions = {},
): Promise<string> {
  let uris = target.uris;
  let wrong: ArchiveError | undefined;
  const insertOptions = {
    size: target.size,
    ...(options.signal ? { signal: options.signal } : {}),
  };
  for (;;) {
    const transfer = new Transfer(client, { ...target, uris }, options);
    try {
      return await store.insert(target.sha256, (to) => transfer.run(to), insertOptions);
    } catch (error) {
      if (AnoleError.is(error) && error.code === 'ARCHIVE_NOT_FOUND') throw wrong ?? error;
      if (!(error instanceof HostError && error.code === 'HOST_WRONG_CONTENT')) throw error;
      wrong = wrongHash(transfer.uri ?? '', error);
      // What an earlier attempt had left may be to blame: the same server gets another chance.
      if (!transfer.resumed) uris = uris.filter((uri) => uri !== transfer.uri);
      if (uris.length === 0) throw wrong;
    }
  }
}

class Transfer {
  /** The server that the last bytes came from. */
  uri: string | undefined;
  /** Bytes of an earlier attempt were used. */
  resumed = false;
  readonly #client: HttpClient;
  readonly #target: Target;
  readonly #options: DownloadOptions;
  #uris: readonly string[];
  #failure: ArchiveError | undefined;

  constructor(client: HttpClient, target: Target, options: DownloadOptions) {
    this.#client = client;
    this.#target = target;
    this.#options = options;
    this.#uris = target.uris;
  }

  async run(to: PartialContent): Promise<void> {
    const { retries = 3, pause = 300 } = this.#options.network ?? {};
    this.resumed = to.length > 0;
    for (let round = 0; ; round++) {
      for (const uri of this.#uris) {
        if (await this.#tryServer(uri, to)) return;
      }
      if (this.#uris.length === 0 || round >= retries)
        throw this.#failure ?? notFound(this.#target);
      await sleep(pause * 3 ** round, undefined, this.#signal());
    }
  }

  /** True when the content is complete. */
  async #tryServer(uri: string, to: PartialContent): Promise<boolean> {
    if (to.length === this.#target.size) return true;
    try {
      const answer = await this.#client.get(uri, { start: to.length, ...this.#signal() });
      if (answer.status !== 200 && answer.status !== 206)
        return await this.#refused(uri, answer, to);
      this.uri = uri;
      if (answer.start !== to.length) await to.restart();
      if (answer.start !== to.length) return await this.#refused(uri, answer, to);
      for await (const chunk of answer.body) {
        await to.write(chunk);
        this.#options.onBytes?.(to.length);
      }
      // A whole body of the wrong length is a wrong file: the store will say so.
      if (to.length === this.#target.size || answer.delimited) return true;
      throw unreachable(uri, `only ${to.length} of ${this.#target.size} bytes came`);
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      this.#failure = error;
      return false;
    }
  }

  async #refused(uri: string, answer: Answer, to: PartialContent): Promise<false> {
    answer.close();
    const { status } = answer;
    // A range that a server cannot serve: begin again.
    if (status === 416 || status === 206) await to.restart();
    const mayPass = status >= 500 || [206, 408, 416, 425, 429].includes(status);
    if (!mayPass) this.#uris = this.#uris.filter((other) => other !== uri);
    const isAbsent = status === 404 || status === 410;
    if (!isAbsent) this.#failure = unreachable(uri, `the server answers with status ${status}`);
    return false;
  }

  #signal(): { signal?: AbortSignal } {
    return this.#options.signal === undefined ? {} : { signal: this.#options.signal };
  }
}

function notFound(target: Target): ArchiveError {
  const [uri = ''] = target.uris;
  return new ArchiveError('ARCHIVE_NOT_FOUND', `Cannot get ${shownUri(uri)}: no such file`, {
    details: { uris: target.uris.map(shownUri) },
    hint: 'The mirror may have moved on: try again without --locked, or name another mirror.',
  });
}

function wrongHash(uri: string, cause: HostError): ArchiveError {
  const why = cause.message.replace(/^Cannot accept content: /, '');
  return new ArchiveError('ARCHIVE_WRONG_HASH', `Cannot accept ${shownUri(uri)}: ${why}`, {
    cause,
    details: { uri: shownUri(uri) },
    hint: 'The mirror, or a proxy before it, serves a wrong file: try later or name another mirror.',
  });
}
