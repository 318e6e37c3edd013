import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, badRequest } from './errors.ts';

const maxJson = 4 << 20;

/** All bytes of a request, which are few. */
export async function bodyOf(request: IncomingMessage, limit = maxJson): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new ApiError(413, 'resource_exhausted', 'the request is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export type Json = Readonly<Record<string, unknown>>;

export async function jsonOf(request: IncomingMessage): Promise<Json> {
  const body = await bodyOf(request);
  return body.length === 0 ? {} : parseJson(body);
}

export function parseJson(bytes: Uint8Array): Json {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // Told below.
  }
  throw badRequest('the request is no JSON object');
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const bytes = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
  });
  response.end(bytes);
}

export function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw badRequest(`${what} is missing`);
}

export function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

/** Names with values, both text. */
export function texts(value: unknown): Record<string, string> {
  const entries = Object.entries(object(value)).map(([name, each]) => [name, String(each)]);
  return Object.fromEntries(entries) as Record<string, string>;
}

export function list(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
