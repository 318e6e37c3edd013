import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Source } from '@anole/bytes';
import type { Exports } from './exports.ts';

/** Bytes read at once for an answer: who has gone costs no more. */
const PIECE = 1024 * 1024;

/** Pages of any origin may read what is exported, and see what `httpSource` looks at. */
const forPages = {
  'access-control-allow-origin': '*',
  'access-control-allow-headers': 'range, if-range',
  'access-control-expose-headers': 'content-range, etag',
};

/**
 * Exports over HTTP: `GET /NAME`, whole or one range of it (RFC 9110, section 14), with the content's
 * digest as entity tag; `GET /` lists the names. A page in a browser opens an image there by
 * `httpSource`.
 */
export function httpExports(
  exports: Exports,
  onFailure: (name: string, error: unknown) => void = () => undefined,
): Server {
  return process.getBuiltinModule('node:http').createServer((request, response) => {
    answer(exports, request, response).catch((error: unknown) => {
      onFailure(request.url ?? '', error);
      if (response.headersSent) response.destroy();
      else response.writeHead(502, forPages).end();
    });
  });
}

async function answer(
  exports: Exports,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method } = request;
  const name = nameIn(request.url ?? '/');
  if (method === 'OPTIONS') response.writeHead(204, forPages).end();
  else if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { ...forPages, allow: 'GET, HEAD, OPTIONS' }).end();
  } else if (name === '') {
    response.writeHead(200, { ...forPages, 'content-type': 'application/json' });
    response.end(method === 'HEAD' ? undefined : `${JSON.stringify(exports.names)}\n`);
  } else if (name === undefined || !exports.names.includes(name)) {
    response.writeHead(404, forPages).end();
  } else {
    const { source, digest } = await exports.open(name);
    await sendPart(source, `"${digest}"`, request, response);
  }
}

function nameIn(url: string): string | undefined {
  try {
    return decodeURIComponent(new URL(url, 'http://host').pathname.slice(1));
  } catch {
    return undefined;
  }
}

async function sendPart(
  source: Source,
  etag: string,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { size } = source;
  const isSame = headers['if-range'] === undefined || headers['if-range'] === etag;
  const range = isSame ? rangeOf(headers.range, size) : undefined;
  const [start, end] = range ?? [0, size];
  if (start >= end) {
    response.writeHead(416, { ...forPages, 'content-range': `bytes */${size}` }).end();
    return;
  }
  // Asked before anything is said: what cannot be fetched is an error, not the beginning of an answer.
  const first =
    method === 'HEAD' ? undefined : await source.read(start, Math.min(PIECE, end - start));
  response.writeHead(range ? 206 : 200, {
    ...forPages,
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'content-length': end - start,
    etag,
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
  });
  if (first === undefined) return void response.end();
  let piece = first;
  for (let at = start; ; piece = await source.read(at, Math.min(PIECE, end - at))) {
    at += piece.length;
    const hasRoom = response.write(piece);
    if (at >= end) break;
    if (!hasRoom && !(await drained(response))) return;
    if (response.destroyed) return;
  }
  response.end();
}

/** One range of bytes; undefined where there is none, or one that nobody needs to understand. */
function rangeOf(text: string | undefined, size: number): [start: number, end: number] | undefined {
  const parts = /^bytes=(\d*)-(\d*)$/.exec(text ?? '');
  if (parts === null) return undefined;
  const [, first, last] = parts;
  if (first === '') {
    if (last === '') return undefined;
    return [Math.max(0, size - Number(last)), size];
  }
  const end = last === '' ? size : Math.min(size, Number(last) + 1);
  if (last !== '' && Number(last) < Number(first)) return undefined;
  return [Number(first), end];
}

/** Whether there is room again, and not nobody to read. */
function drained(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve(!response.destroyed);
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
