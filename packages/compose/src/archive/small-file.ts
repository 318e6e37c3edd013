import { setTimeout as sleep } from 'node:timers/promises';
import { ArchiveError } from './errors.ts';
import {
  type Answer,
  type HttpClient,
  type NetworkOptions,
  shownUri,
  unreachable,
} from './http.ts';

export interface SmallFileOptions {
  /** Bytes it may have. */
  readonly limit: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly network?: NetworkOptions;
  readonly signal?: AbortSignal;
}

export interface SmallFile {
  /** Undefined where the server says that it has not changed (status 304). */
  readonly bytes: Uint8Array | undefined;
  header(name: string): string | undefined;
}

/**
 * Gets a file, whose hash is not known, into memory. Servers that fail for a while are asked again.
 *
 * @throws ArchiveError `ARCHIVE_NOT_FOUND`, `ARCHIVE_UNREACHABLE`, `ARCHIVE_TOO_LARGE`.
 */
export async function fetchSmallFile(
  client: HttpClient,
  uri: string,
  options: SmallFileOptions,
): Promise<SmallFile> {
  const { retries = 3, pause = 300 } = options.network ?? {};
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  const headers = options.headers === undefined ? {} : { headers: options.headers };
  for (let round = 0; ; round++) {
    try {
      const answer = await client.get(uri, { ...headers, ...signal });
      return await readAnswer(uri, answer, options.limit);
    } catch (error) {
      const mayPass = error instanceof ArchiveError && error.code === 'ARCHIVE_UNREACHABLE';
      if (!mayPass || error.details['final'] === true || round >= retries) throw error;
    }
    await sleep(pause * 3 ** round, undefined, signal);
  }
}

async function readAnswer(uri: string, answer: Answer, limit: number): Promise<SmallFile> {
  const { status, header } = answer;
  if (status === 304) {
    answer.close();
    return { bytes: undefined, header };
  }
  if (status !== 200) {
    answer.close();
    throw refusal(uri, status);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.length;
    chunks.push(chunk);
    if (size > limit) throw tooLarge(uri, limit);
  }
  const promised = header('content-length');
  if (promised !== undefined && Number(promised) !== size) {
    throw unreachable(uri, `only ${size} of ${promised} bytes came`);
  }
  return { bytes: Buffer.concat(chunks), header };
}

function refusal(uri: string, status: number): ArchiveError {
  if (status === 404 || status === 410) {
    return new ArchiveError('ARCHIVE_NOT_FOUND', `Cannot get ${shownUri(uri)}: no such file`, {
      details: { uri: shownUri(uri) },
      hint: 'Check the name of the suite, and that the mirror carries it.',
    });
  }
  const error = unreachable(uri, `the server answers with status ${status}`);
  if (status >= 500 || status === 408 || status === 429) return error;
  const details = { ...error.details, final: true };
  return new ArchiveError(error.code, error.message, { details, hint: error.hint! });
}

function tooLarge(uri: string, limit: number): ArchiveError {
  return new ArchiveError(
    'ARCHIVE_TOO_LARGE',
    `Cannot get ${shownUri(uri)}: it has more than ${limit} bytes`,
  );
}
