/**
 * dm-verity: hashes behind data, by which any block of them is verified on its own.
 *
 * @example
 * import { createHash } from 'node:crypto';
 * import { memorySource } from '@anole/bytes';
 * import { VerityBuilder, verifiedSource } from '@anole/bytes/verity';
 * const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
 * const data = new Uint8Array(8192).fill(7);
 * const builder = new VerityBuilder(digest);
 * builder.update(data);
 * const { rootHash, bytes } = builder.finish();
 * const whole = new Uint8Array([...data, ...bytes]);
 * const place = { size: data.length, hashOffset: data.length, rootHash, digest };
 * await verifiedSource(memorySource(whole), place).read(5000, 3); // Uint8Array [7, 7, 7]
 */
export { type DigestBlock, VerityBuilder, type VerityTree } from './builder.ts';
export { VerityHashes, type VerityPlace } from './hashes.ts';
export { VERITY_BLOCK } from './layout.ts';
export { verifiedSource } from './verified-source.ts';
