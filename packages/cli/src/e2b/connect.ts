import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, apiError } from './errors.ts';
import { bodyOf, type Json, parseJson, sendJson } from './http.ts';

/**
 * The Connect protocol with JSON (connectrpc.com/docs/protocol): calls with one answer, and calls with a
 * stream of answers, each in an envelope of flags (u8) and length (u32, big-endian).
 */
export interface Call {
  readonly request: Json;
  readonly headers: IncomingMessage['headers'];
  /** Aborts when who called is gone, or waited as long as it said. */
  readonly signal: AbortSignal;
}

/** A stream's answers are sent as they come. */
export type Answers = AsyncIterable<Json>;
export type Method = (call: Call) => Promise<Json> | Answers;

const endOfStream = 2;
const headerBytes = 5;
const keepAliveEvery = 'keepalive-ping-interval';

export async function answerCall(
  method: Method,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const streams = (request.headers['content-type'] ?? '').startsWith('application/connect+json');
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const patience = Number(request.headers['connect-timeout-ms'] ?? 0);
  const late = deadline(patience, gone);
  try {
    const body = await bodyOf(request);
    const message = parseJson(streams ? unwrap(body) : body);
    const result = method({ request: message, headers: request.headers, signal: gone.signal });
    if (result instanceof Promise) sendJson(response, 200, await result);
    else await sendStream(response, result, Number(request.headers[keepAliveEvery] ?? 0));
  } catch (error) {
    const { status, code, message } = apiError(error);
    if (!streams) sendJson(response, status, { code, message });
    else sendEnd(response, { error: { code, message } });
  } finally {
    clearTimeout(late);
  }
}

function deadline(patience: number, gone: AbortController): NodeJS.Timeout | undefined {
  if (!(patience > 0 && patience < 2 ** 31)) return undefined;
  const error = new ApiError(408, 'deadline_exceeded', 'the time that was given is over');
  return setTimeout(() => gone.abort(error), patience);
}

async function sendStream(
  response: ServerResponse,
  answers: Answers,
  interval: number,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/connect+json' });
  response.flushHeaders();
  const ping = () => void response.write(envelope(0, { event: { keepalive: {} } }));
  const pings = interval > 0 && interval < 86_400 ? setInterval(ping, interval * 1000) : undefined;
  try {
    for await (const answer of answers) {
      if (response.write(envelope(0, answer)) || response.destroyed) continue;
      await new Promise<void>((resolve) => {
        response.once('drain', resolve);
        response.once('close', resolve);
      });
    }
    sendEnd(response, {});
  } finally {
    clearInterval(pings);
  }
}

function sendEnd(response: ServerResponse, end: Json): void {
  if (!response.headersSent)
    response.writeHead(200, { 'content-type': 'application/connect+json' });
  response.end(envelope(endOfStream, end));
}

function envelope(flags: number, value: Json): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const head = Buffer.alloc(headerBytes);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}

/** The one message of a request. */
function unwrap(body: Buffer): Buffer {
  if (body.length < headerBytes || body.readUInt8(0) !== 0) {
    throw new ApiError(400, 'invalid_argument', 'the message is compressed, or none');
  }
  return body.subarray(headerBytes, headerBytes + body.readUInt32BE(1));
}
