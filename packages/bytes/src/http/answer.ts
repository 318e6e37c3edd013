import { HttpError, shownUrl } from './errors.ts';

/** What must stay the same while a file is read. */
export interface Version {
  readonly size: number;
  /** A strong entity tag (RFC 9110, 8.8.3). */
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** What an answer with a part of a file says (RFC 9110, 14.4 and 15.3.7). */
export interface Part extends Version {
  readonly start: number;
  /** Byte after the last one. */
  readonly end: number;
}

/** @throws HttpError unless the answer is a part that begins at `start`. */
export function readPart(response: Response, start: number, url: string): Part {
  const { status, headers } = response;
  if (status === 200) {
    throw new HttpError(
      'HTTP_NO_RANGES',
      `Cannot read parts of ${shownUrl(url)}: the server sends all of it`,
      {
        details: { url: shownUrl(url) },
        hint: 'download the file and give its path, or put it on a server that knows Range requests',
      },
    );
  }
  const encoding = headers.get('content-encoding');
  if (encoding !== null && encoding !== 'identity') {
    throw bad(url, `it comes encoded as ${encoding}`);
  }
  const range = headers.get('content-range');
  if (range === null) {
    throw bad(
      url,
      'the answer does not say which part it is',
      'from another origin, a server must expose the header Content-Range',
    );
  }
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range);
  const [first, last, size] = (match?.slice(1) ?? []).map(Number);
  if (
    first === undefined ||
    last === undefined ||
    size === undefined ||
    !Number.isSafeInteger(size)
  ) {
    throw bad(url, `the answer says the part ${range}`);
  }
  if (first !== start || last < first || last >= size) {
    throw bad(url, `byte ${start} was asked for, the answer says ${range}`);
  }
  return { start, end: last + 1, size, ...validatorsOf(headers) };
}

export function validatorsOf(headers: Headers): Pick<Version, 'etag' | 'lastModified'> {
  const etag = headers.get('etag') ?? undefined;
  return {
    etag: etag?.startsWith('"') ? etag : undefined,
    lastModified: headers.get('last-modified') ?? undefined,
  };
}

/** @throws HttpError `HTTP_CHANGED` */
export function checkSame(known: Version, seen: Version, url: string): void {
  const isOther = (a?: string, b?: string) => a !== undefined && b !== undefined && a !== b;
  const reason =
    known.size !== seen.size
      ? `it had ${known.size} bytes and now has ${seen.size}`
      : isOther(known.etag, seen.etag)
        ? `its tag was ${known.etag} and now is ${seen.etag}`
        : isOther(known.lastModified, seen.lastModified)
          ? `it is of ${seen.lastModified} now, not of ${known.lastModified}`
          : undefined;
  if (reason !== undefined) throw changed(url, reason);
}

export function changed(url: string, reason: string): HttpError {
  return new HttpError('HTTP_CHANGED', `Cannot go on reading ${shownUrl(url)}: ${reason}`, {
    details: { url: shownUrl(url) },
    hint: 'it was replaced meanwhile: open it again',
  });
}

function bad(url: string, reason: string, hint?: string): HttpError {
  return new HttpError('HTTP_BAD_ANSWER', `Cannot read ${shownUrl(url)}: ${reason}`, {
    details: { url: shownUrl(url) },
    ...(hint !== undefined && { hint }),
  });
}
