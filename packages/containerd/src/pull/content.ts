import { randomUUID } from 'node:crypto';
import type { ReadOptions } from '@anole/bytes';
import type { Descriptor } from '@anole/oci';
import { Content, WriteAction } from '../api/content.ts';
import { ContainerdError } from '../errors.ts';
import type { GrpcClient } from '../grpc/client.ts';

/** Bytes in one message. */
const PIECE = 1024 * 1024;

type Labels = Readonly<Record<string, string>>;

export interface ContentCall extends ReadOptions {
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Has containerd keep a blob, with labels, also where it has it already. containerd verifies it.
 *
 * @param open the blob's bytes from an offset
 * @throws ContainerdError, what reading raises
 */
export async function keepContent(
  client: GrpcClient,
  descriptor: Descriptor,
  labels: Labels,
  open: (start: number) => AsyncIterable<Uint8Array>,
  call: ContentCall,
): Promise<void> {
  try {
    await write(client, descriptor, labels, open, call);
  } catch (error) {
    if (!(error instanceof ContainerdError) || error.code !== 'CONTAINERD_EXISTS') throw error;
    const paths = Object.keys(labels).map((name) => `labels.${name}`);
    const info = { digest: descriptor.digest, labels };
    await client.call(Content.update, { info, updateMask: { paths } }, call);
  }
}

async function write(
  client: GrpcClient,
  { digest: expected, size: total }: Descriptor,
  labels: Labels,
  open: (start: number) => AsyncIterable<Uint8Array>,
  call: ContentCall,
): Promise<void> {
  const ref = `anole-${randomUUID()}`;
  // What another namespace of containerd has need not be sent again.
  const there = Promise.withResolvers<number>();
  there.promise.catch(() => {});
  async function* requests() {
    yield { action: WriteAction.stat, ref, total, expected };
    let offset = await there.promise;
    if (offset < total) {
      for await (const bytes of open(offset)) {
        for (let at = 0; at < bytes.length; at += PIECE) {
          const data = bytes.subarray(at, at + PIECE);
          yield { action: WriteAction.write, ref, offset, data };
          offset += data.length;
        }
      }
    }
    yield { action: WriteAction.commit, ref, total, expected, offset, labels };
  }
  try {
    for await (const { offset } of client.stream(Content.write, requests(), call)) {
      there.resolve(offset);
    }
  } catch (error) {
    there.reject(error);
    throw error;
  }
}
