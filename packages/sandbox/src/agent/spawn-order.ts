import { launchField, launchMemory, textOf } from './launch-request.ts';
import { asciiText, candidateBytes, candidateField, spawnField, spawnFlag } from './wire.ts';

/**
 * A payload of `spawn`. What is looked at is read when it is wanted, and as few strings as possible: the agent is
 * interpreted by an interpreter (docs/decisions/0240).
 */
export class SpawnOrder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Where the memory of `launch` begins. */
  readonly #launch: number;
  readonly #flags: number;

  constructor(payload: Uint8Array) {
    this.#bytes = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this.#launch = this.#view.getUint32(spawnField.launch, true);
    this.#flags = this.#view.getUint32(spawnField.flags, true);
  }

  get stdin(): boolean {
    return (this.#flags & spawnFlag.stdin) !== 0;
  }

  has(field: number): boolean {
    return this.#view.getUint32(field, true) !== 0;
  }

  /** Bytes of a string. */
  length(field: number): number {
    return this.#view.getUint32(field + 4, true);
  }

  text(field: number): string {
    const start = this.#launch + this.#view.getUint32(field, true);
    const end = start + this.#view.getUint32(field + 4, true);
    const bytes = this.#bytes.subarray(start, end);
    return (this.#flags & spawnFlag.unicode) === 0 ? asciiText(bytes) : textOf(bytes);
  }

  /** Paths of the files that may be the program. */
  get candidates(): readonly string[] {
    return this.has(spawnField.candidates) ? this.text(spawnField.candidates).split('\0') : [];
  }

  /** The memory of `launch`, which is to execute one of the candidates. It aliases the payload. */
  memory(candidate: number): Uint8Array {
    const view = this.#view;
    const at = spawnField.firstCandidate + candidateBytes * candidate;
    const word = (from: number, to: number, more: number) =>
      view.setUint32(this.#launch + to, more + view.getUint32(at + from, true), true);
    word(candidateField.path, launchField.path, launchMemory.address);
    word(candidateField.message, launchField.message, launchMemory.address);
    word(candidateField.message + 4, launchField.messageLength, 0);
    return this.#bytes.subarray(this.#launch);
  }
}
