import { once } from 'node:events';

/**
 * Writes a command's output to a stream of this process, at the pace it takes. Where the reader
 * went away, `broken` is called and the rest is thrown away, as a closed pipe would.
 */
export async function pump(
  from: AsyncIterable<Uint8Array>,
  to: NodeJS.WriteStream,
  broken: () => void,
): Promise<void> {
  const failure = new AbortController();
  const onError = () => failure.abort();
  to.on('error', onError);
  try {
    for await (const bytes of from) {
      if (failure.signal.aborted) break;
      if (!to.write(bytes)) await once(to, 'drain', { signal: failure.signal }).catch(() => {});
    }
  } finally {
    if (failure.signal.aborted) broken();
    else to.off('error', onError);
  }
}
