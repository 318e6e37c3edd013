import type { CallOptions } from '@anole/bytes';
import type { Origin, PutOptions } from '../content.ts';
import { OciError } from '../errors.ts';
import type { Descriptor } from '../manifest.ts';
import type { Call } from './client.ts';
import type { Repository } from './repository.ts';
import { mayPassLater, retryAfterOf } from './retry.ts';
import type { HttpAnswer } from './transport.ts';

/**
 * Uploads a blob: what another repository of the registry has is taken over; else the bytes are sent with the
 * request that ends the upload (distribution-spec, "POST then PUT"), and after a failure that passes the rest
 * of them as a chunk, from where the registry says it is.
 */
export async function uploadBlob(
  to: Repository,
  descriptor: Descriptor,
  open: (start: number) => AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<void> {
  const upload = new Upload(to, descriptor, options);
  if (await upload.begin(options.origins)) return;
  for (let failures = 0; ; failures++) {
    const before = upload.sent;
    try {
      await upload.send(open);
      return;
    } catch (error) {
      if (!mayPassLater(error) || failures >= to.client.retries) throw error;
      await to.client.pause(failures, options.signal, retryAfterOf(error));
      if (await upload.lookUp()) return;
      if (upload.sent > before) failures = 0;
    }
  }
}

class Upload {
  /** Bytes that the registry has. */
  sent = 0;
  private readonly to: Repository;
  private readonly descriptor: Descriptor;
  private readonly options: CallOptions;
  private location: URL | undefined;

  constructor(to: Repository, descriptor: Descriptor, options: CallOptions) {
    this.to = to;
    this.descriptor = descriptor;
    this.options = options;
  }

  /** True where the blob has been taken over from another repository. */
  async begin(origins: readonly Origin[] = []): Promise<boolean> {
    const { client, path } = this.to;
    const near = origins.find(
      ({ host, repository }) => host === client.host && repository !== path,
    );
    const from = near?.repository;
    const mount = `?mount=${this.descriptor.digest}&from=${encodeURIComponent(from ?? '')}`;
    const place = `blobs/uploads/${from === undefined ? '' : mount}`;
    const answer = await this.call(this.to.push('POST', place, [201, 202], this.options, from));
    if (answer.status === 201) return true;
    this.moveOn(answer);
    return false;
  }

  async send(open: (start: number) => AsyncIterable<Uint8Array>): Promise<void> {
    const { size } = this.descriptor;
    const start = this.sent;
    // In one request: between two, a registry has to keep how far it came, and to find it again.
    if (start === 0 && size > 0) return this.finish(size, () => open(0));
    if (start < size) {
      const answer = await this.call({
        ...this.to.push('PATCH', this.location!, [201, 202, 204], this.options),
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(size - start),
          'content-range': `${start}-${size - 1}`,
        },
        body: () => open(start),
        retries: 0,
      });
      this.moveOn(answer);
      this.sent = size;
    }
    await this.finish(0);
  }

  /** Ends the upload, with so many bytes that have not been sent. */
  private async finish(length: number, body?: () => AsyncIterable<Uint8Array>): Promise<void> {
    const url = new URL(this.location!);
    url.searchParams.set('digest', this.descriptor.digest);
    await this.call({
      ...this.to.push('PUT', url, [201, 204], this.options),
      headers: { 'content-length': String(length), 'content-type': 'application/octet-stream' },
      ...(body && { body }),
      retries: 0,
    });
  }

  /**
   * Asks how much has come; begins anew where the registry does not know the upload any more. True where that
   * is so because it has all: only its answer was lost.
   */
  async lookUp(): Promise<boolean> {
    const answer = await this.call(
      this.to.push('GET', this.location!, [202, 204, 404], this.options),
    );
    if (answer.status === 404) {
      this.sent = 0;
      return (await this.to.has(this.descriptor, this.options)) || (await this.begin());
    }
    const range = /^(?:bytes=)?0-(\d+)$/.exec(answer.header('range') ?? '');
    const last = range ? Number(range[1]) : 0;
    // "0-0" says nothing has come, in some servers one byte.
    this.sent = last === 0 ? 0 : Math.min(last + 1, this.descriptor.size);
    this.moveOn(answer);
    return last === 0 && (await this.begin());
  }

  private async call(call: Call): Promise<HttpAnswer> {
    const answer = await this.to.client.call(call);
    answer.close();
    return answer;
  }

  /** Each answer says where the next request goes. */
  private moveOn(answer: HttpAnswer): void {
    const location = answer.header('location');
    const { base } = this.to.client;
    const from = this.location ?? base;
    if (location === undefined && this.location !== undefined) return;
    if (location === undefined || !URL.canParse(location, from.href)) throw this.bad('no address');
    const url = new URL(location, from);
    const isSafe = url.protocol === 'https:' || url.protocol === base.protocol;
    if (!isSafe) throw this.bad(`the address ${url.origin}`);
    this.location = url;
  }

  private bad(what: string): OciError {
    return new OciError('OCI_BAD_ANSWER', `Cannot upload to ${this.to.name}: it gives ${what}`);
  }
}
