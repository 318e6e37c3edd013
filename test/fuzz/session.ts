import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyPatch, mutate, type Patch, patchOf, random } from './mutate.ts';
import type { Target } from './targets.ts';

const corpusDirectory = join(import.meta.dirname, 'corpus');

/** What a target is known to do, and inputs that made it. */
export class Session {
  readonly target: Target;
  readonly corpus: Patch[];
  readonly #known = new Set<string>();
  readonly #places = new Map<string, readonly number[]>();
  #added = 0;

  constructor(target: Target) {
    this.target = target;
    const file = this.#file;
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
    this.corpus = lines.map((line) => JSON.parse(line) as Patch);
  }

  /** Runs all seeds and all of the corpus. */
  async replay(): Promise<void> {
    for (const [name, seed] of this.target.seeds) {
      const places = await this.target.places?.(seed);
      this.#places.set(name, places ?? []);
      for (const kind of await this.target.run(seed)) this.#known.add(kind);
    }
    for (const patch of this.corpus) {
      const kinds = await this.target.run(this.#inputOf(patch));
      for (const kind of kinds) this.#known.add(kind);
    }
  }

  /** One mutant of a seed or of an input that is kept; the same for the same number. */
  mutant(number: number): { readonly bytes: Uint8Array; readonly seed: string } {
    const below = random(Math.imul(number, 0x9e3779b1));
    const names = [...this.target.seeds.keys()];
    const isFresh = this.corpus.length === 0 || below(2) === 0;
    const kept = isFresh ? undefined : this.corpus[below(this.corpus.length)]!;
    const seed = kept?.seed ?? names[below(names.length)]!;
    const from = kept ? this.#inputOf(kept) : this.target.seeds.get(seed)!;
    const bytes = mutate(from, below, this.#places.get(seed));
    if (below(8) > 0) this.target.repair?.(bytes);
    return { bytes, seed };
  }

  /** Runs an input; keeps it where something happened that none before made happen. */
  async take(bytes: Uint8Array, seed: string): Promise<void> {
    const kinds = await this.target.run(bytes);
    const fresh = [...kinds].filter((kind) => !this.#known.has(kind));
    if (fresh.length === 0) return;
    for (const kind of fresh) this.#known.add(kind);
    const patch = patchOf(seed, this.target.seeds.get(seed)!, bytes);
    // Whole other inputs are no small files.
    if (JSON.stringify(patch).length > 1500) return;
    this.corpus.push(patch);
    this.#added++;
  }

  /** Leaves only inputs without which something would not happen, small ones first. */
  async prune(): Promise<void> {
    const sizeOf = (patch: Patch) => JSON.stringify(patch).length;
    const all = this.corpus.splice(0).sort((a, b) => sizeOf(a) - sizeOf(b));
    this.#known.clear();
    await this.replay();
    for (const patch of all) await this.take(this.#inputOf(patch), patch.seed);
    this.#added++;
    this.save();
  }

  /** Kinds of behaviour that were met. */
  get kinds(): number {
    return this.#known.size;
  }

  save(): void {
    if (this.#added === 0) return;
    writeFileSync(this.#file, this.corpus.map((patch) => `${JSON.stringify(patch)}\n`).join(''));
  }

  get #file(): string {
    return join(corpusDirectory, `${this.target.name}.jsonl`);
  }

  #inputOf(patch: Patch): Uint8Array {
    const seed = this.target.seeds.get(patch.seed);
    if (seed === undefined) throw new Error(`the corpus names the seed ${patch.seed}: none such`);
    return applyPatch(seed, patch);
  }
}
