import { createHash } from 'node:crypto';

/**
 * Names of an image's layers, each with all below it (OCI image-spec, config.md, "Layer ChainID").
 *
 * @param diffIds digests of the layers, decompressed, the lowest first
 */
export function chainIdsOf(diffIds: readonly string[]): readonly string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : sha256(`${below} ${diffId}`));
  }
  return chain;
}

function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
