import { AnoleError } from '@anole/bytes';
import xz from 'xz-decompress';

/** What is wrong by the decoder's numbers. Source: xz-embedded linux/include/linux/xz.h, enum xz_ret. */
const reasons: Readonly<Record<string, string>> = {
  3: 'there is no memory for it',
  4: 'it looks back further than 64 MiB, as far as that of xz -9 does',
  5: 'it is no xz file',
  6: 'it has other filters than LZMA2, or another check than crc32, crc64 or none',
  7: 'its data are damaged',
  8: 'it is cut short, or bytes follow it',
};

/**
 * Decompresses an xz file, of one stream or several, as it comes. Takes as much memory as the dictionary, 64 MiB at most,
 * and a little more.
 *
 * The decoder serves one stream of a thread at a time: others wait until this one has been read to its end or left, so
 * a stream must not be kept open beside another.
 *
 * @throws AnoleError `XZ_DAMAGED`, `XZ_UNSUPPORTED`; what the input throws
 */
export async function* unxz(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new xz.XzReadableStream(webStream(input)).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw damaged(error) ?? error;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function webStream(input: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        const { done, value } = await chunks.next();
        if (done) return controller.close();
        // The decoder takes an empty chunk for the end of its input.
        if (value.length > 0) return controller.enqueue(value);
      }
    },
    async cancel() {
      await chunks.return?.();
    },
  });
}

/** Of the decoder's own errors; undefined for others. */
function damaged(error: unknown): AnoleError | undefined {
  const number = error instanceof Error && /error code (\d+)$/.exec(error.message)?.[1];
  if (!number) return undefined;
  const reason = reasons[number] ?? `its decoder says ${number}`;
  const code = number === '4' || number === '6' ? 'XZ_UNSUPPORTED' : 'XZ_DAMAGED';
  return new AnoleError(code, `Cannot decompress the xz data: ${reason}`, { cause: error });
}
