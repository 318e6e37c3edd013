import { hash } from 'node:crypto';
import { hostDecoders } from '@anole/host';
import { builtInCodecs, type RafsCodecs } from '../codecs.ts';
import { decryptXts } from './xts.ts';

/** Node's own zstd and SHA-256, which are faster, and AES-128-XTS. */
export const nodeCodecs: RafsCodecs = {
  decoders: {
    ...builtInCodecs.decoders,
    zstd: (input, output) => hostDecoders.zstd(input, output, { partial: false }),
  },
  hashes: { ...builtInCodecs.hashes, sha256: (bytes) => hash('sha256', bytes, 'buffer') },
  decrypt: decryptXts,
};
