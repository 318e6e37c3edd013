import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { SandboxFiles } from '@anole/sandbox';
import { badRequest, unauthenticated } from './errors.ts';
import { bodyOf, sendJson } from './http.ts';
import { pathOf, userOf } from './users.ts';

/** A form is held in memory; larger files come as they are. */
const maxForm = 256 << 20;

/** `GET` and `POST /files`: contents of files, in and out. */
export async function transfer(
  files: SandboxFiles,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = url.searchParams.get('username') || userOf(request.headers.authorization);
  const user = asked || undefined;
  const path = url.searchParams.get('path') || undefined;
  const at = (name: string) => pathOf(files, name, user);
  if (request.method === 'GET') {
    if (path === undefined) throw badRequest('no path is given');
    await sendFile(files, await at(path), response);
    return;
  }
  const owner = user === undefined ? {} : { user };
  const type = request.headers['content-type'] ?? '';
  if (type.startsWith('application/octet-stream')) {
    if (path === undefined) throw badRequest('no path is given');
    const zipped = request.headers['content-encoding'] === 'gzip';
    const body = zipped ? request.pipe(createGunzip()) : request;
    const { name, path: real } = await files.write(await at(path), body, owner);
    sendJson(response, 200, [{ name, type: 'file', path: real }]);
    return;
  }
  const form = await new Response(new Uint8Array(await bodyOf(request, maxForm)), {
    headers: { 'content-type': type },
  }).formData();
  const written = [];
  for (const part of form.getAll('file')) {
    if (typeof part === 'string') throw badRequest('a part is no file');
    const target = await at(path ?? part.name);
    const bytes = new Uint8Array(await part.arrayBuffer());
    const { name, path: real } = await files.write(target, bytes, owner);
    written.push({ name, type: 'file', path: real });
  }
  sendJson(response, 200, written);
}

async function sendFile(files: SandboxFiles, path: string, response: ServerResponse) {
  const { size } = await files.stat(path);
  const pieces = files.stream(path);
  // What cannot be read is known before the answer begins.
  const first = await pieces.next();
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': size,
  });
  async function* all() {
    let left = size;
    for (let step = first; !step.done && left > 0; step = await pieces.next()) {
      yield step.value.subarray(0, left);
      left -= step.value.length;
    }
  }
  await pipeline(all, response);
}

/** Whether a link carries the signature that its owner made for it (`v1_` and a SHA-256). */
export function checkSignature(url: URL, method: string, token: string): void {
  const expiration = url.searchParams.get('signature_expiration');
  if (expiration !== null && !(Number(expiration) * 1000 > Date.now())) throw unauthenticated();
  const operation = method === 'GET' ? 'read' : 'write';
  const path = url.searchParams.get('path') ?? '';
  const user = url.searchParams.get('username') ?? '';
  const parts = [path, operation, user, token, ...(expiration === null ? [] : [expiration])];
  const sum = createHash('sha256').update(parts.join(':')).digest('base64').replace(/=+$/, '');
  if (!same(url.searchParams.get('signature') ?? '', `v1_${sum}`)) throw unauthenticated();
}

/** Compares secrets in a time that says nothing of them. */
export function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(left!, right!);
}
