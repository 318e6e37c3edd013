import { hash } from 'node:crypto';
import { Chunker, type Chunking } from '../chunker.ts';
import { CompressionSample } from './sample.ts';

/** Counts the chunks of files, layer after layer, cut in one way. */
export class Tally {
  readonly chunking: Chunking;
  readonly sample: CompressionSample;
  /** Chunks and their bytes, before compression: once in each layer, and once in all. */
  readonly alone = { chunks: 0, bytes: 0 };
  readonly shared = { chunks: 0, bytes: 0 };
  private readonly chunker: Chunker;
  /** The layer in which each chunk was met last. */
  private readonly seen = new Map<string, number>();
  private layer = 0;

  constructor(chunking: Chunking, sampled: number) {
    this.chunking = chunking;
    this.chunker = new Chunker(chunking);
    this.sample = new CompressionSample(sampled);
  }

  nextLayer(): void {
    this.layer++;
  }

  add(bytes: Uint8Array): void {
    for (const chunk of this.chunker.add(bytes)) this.count(chunk);
  }

  endFile(): void {
    for (const chunk of this.chunker.end()) this.count(chunk);
  }

  private count(chunk: Uint8Array): void {
    const digest = hash('sha256', chunk, 'buffer');
    // 96 bits: no two chunks of a set that anyone has would meet.
    const key = digest.toString('latin1', 0, 12);
    const last = this.seen.get(key);
    if (last === this.layer) return;
    this.seen.set(key, this.layer);
    this.alone.chunks++;
    this.alone.bytes += chunk.length;
    if (last !== undefined) {
      this.sample.again(key);
      return;
    }
    this.shared.chunks++;
    this.shared.bytes += chunk.length;
    this.sample.add(chunk, key, digest.readUInt32LE(12));
  }
}
