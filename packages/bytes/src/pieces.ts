/**
 * A stream's bytes in pieces of `size`, but for the last, each of its own memory. Where the stream
 * breaks off, what came of the last piece is given before its error is raised.
 *
 * @param options.owned the stream's chunks pass to the reader: what is a piece already is given as it is
 */
export async function* inPieces(
  stream: AsyncIterable<Uint8Array>,
  size: number,
  { owned = false }: { readonly owned?: boolean } = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let piece = new Uint8Array(size);
  let filled = 0;
  let broken: { readonly error: unknown } | undefined;
  const source = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await source.next().catch((error: unknown) => {
        broken = { error };
      });
      if (next === undefined || next.done) break;
      const bytes = next.value;
      if (owned && filled === 0 && bytes.length === size) {
        yield bytes as Uint8Array<ArrayBuffer>;
        continue;
      }
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + size - filled);
        piece.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < size) continue;
        yield piece;
        piece = new Uint8Array(size);
        filled = 0;
      }
    }
    if (filled > 0) yield piece.slice(0, filled);
  } finally {
    await source.return?.();
  }
  if (broken) throw broken.error;
}
