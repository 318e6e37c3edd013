import type { BlobOptions } from '../content.ts';
import { OciError } from '../errors.ts';
import type { Descriptor } from '../manifest.ts';
import type { Call, RegistryClient } from './client.ts';
import { isTransient } from './retry.ts';

/** A blob behind HTTP. */
export interface BlobPlace {
  readonly client: RegistryClient;
  /** Of what it is a part, for messages. */
  readonly name: string;
  /** The call that gets it. */
  readonly call: Call;
}

/**
 * A blob's bytes from `start` to `end`. Goes on where a connection broke, as often as some bytes come.
 *
 * @throws OciError as {@link RegistryClient}; `OCI_WRONG_CONTENT` for other lengths
 */
export async function* readBlobRange(
  place: BlobPlace,
  descriptor: Descriptor,
  options: BlobOptions = {},
): AsyncGenerator<Uint8Array> {
  const { size } = descriptor;
  const { client } = place;
  const end = Math.min(options.end ?? size, size);
  let at = options.start ?? 0;
  for (let failures = 0; at < end || size === 0; failures++) {
    const before = at;
    const progress = { answered: false };
    try {
      for await (const chunk of request(place, descriptor, [at, end], progress, options)) {
        at += chunk.length;
        if (at > end) throw wrongLength(place, descriptor, `over ${end}`);
        yield chunk;
      }
      if (at >= end) return;
      throw wrongLength(place, descriptor, String(at));
    } catch (error) {
      if (at > before) failures = 0;
      // Before an answer the client has tried again itself.
      const isBroken = progress.answered && isTransient(error);
      if (!isBroken || failures >= client.retries) throw error;
      await client.pause(failures, options.signal);
    }
  }
}

async function* request(
  place: BlobPlace,
  descriptor: Descriptor,
  range: readonly [start: number, end: number],
  progress: { answered: boolean },
  { signal, fresh, lent }: BlobOptions,
): AsyncGenerator<Uint8Array> {
  const [start, end] = range;
  const isPart = start > 0 || end < descriptor.size;
  const { client, call } = place;
  const to = end < descriptor.size ? end - 1 : '';
  const answer = await client.call({
    ...call,
    expect: isPart ? [200, 206] : [200],
    headers: {
      ...(isPart && { range: `bytes=${start}-${to}` }),
      ...(fresh && { 'cache-control': 'no-cache' }),
    },
    ...(signal && { signal }),
    ...(lent && { lent }),
  });
  progress.answered = true;
  try {
    const whole = answer.status === 200;
    checkHead(place, descriptor, whole ? undefined : range, answer.header.bind(answer));
    const body = client.worded({ ...call, ...(signal && { signal }) }, answer.body);
    // A server without ranges begins at the beginning, and goes on to the end.
    yield* whole && isPart ? cutOut(body, start, end) : body;
  } finally {
    answer.close();
  }
}

function checkHead(
  place: BlobPlace,
  descriptor: Descriptor,
  range: readonly [start: number, end: number] | undefined,
  header: (name: string) => string | undefined,
): void {
  const { size } = descriptor;
  const length = header('content-length');
  const expected = range ? range[1] - range[0] : size;
  if (length !== undefined && Number(length) !== expected) {
    throw wrongLength(place, descriptor, range ? `${range[0]} and ${length}` : length);
  }
  const met = /^bytes (\d+)-/.exec(header('content-range') ?? '');
  if (range && Number(met?.[1]) !== range[0]) {
    throw new OciError('OCI_BAD_ANSWER', `Cannot read ${place.name}: it gives another range`);
  }
}

function wrongLength({ name }: BlobPlace, { digest, size }: Descriptor, met: string): OciError {
  return new OciError(
    'OCI_WRONG_CONTENT',
    `Cannot accept ${digest} of ${name}: it has ${met} bytes instead of ${size}`,
    { details: { digest, size } },
  );
}

/** The bytes from `start` to `end` of a stream. */
async function* cutOut(
  stream: AsyncIterable<Uint8Array>,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of stream) {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += chunk.length;
    if (part.length > 0) yield part;
    if (at >= end) return;
  }
}
