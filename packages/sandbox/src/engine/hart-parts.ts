import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32c } from '@anole/bytes';
import { cacheDirectory } from '@anole/host';
import {
  type HartParts,
  hasFusedMultiplyAdd,
  makeHartParts,
  useHartParts,
} from '@anole/machine/runtime';
import { keepNewest } from './keep-newest.ts';
import { machineStamp } from './machine-stamp.ts';

/** Whether machines compile what guests execute often. For a look without: `ANOLE_JIT=0`. */
export const jit = process.env['ANOLE_JIT'] !== '0';

/** CRC-32C of the rest, bytes of the table; the table, the interpreter. */
const headerBytes = 8;
/** Versions of the code that are kept. */
const maxKept = 4;

/**
 * Has harts made of code that is kept in the cache, as `code/<stamp>.hart`: generating it takes longer
 * than all the rest of a machine. `shared` is the code of another thread.
 */
export async function prepareHarts(shared: HartParts | undefined): Promise<HartParts> {
  if (shared !== undefined) return await useHartParts(shared, { compiles: jit });
  const fused = await hasFusedMultiplyAdd();
  const path = join(
    cacheDirectory(),
    'code',
    `${machineStamp()}-${Number(fused)}${Number(jit)}.hart`,
  );
  const kept = readCode(path, fused);
  if (kept !== undefined) return await useHartParts(kept, { compiles: jit });
  const made = await makeHartParts({ compiles: jit });
  writeCode(path, made);
  return await useHartParts(made, { compiles: jit });
}

function readCode(path: string, fused: boolean): HartParts | undefined {
  try {
    const bytes = new Uint8Array(readFileSync(path));
    const view = new DataView(bytes.buffer);
    if (view.getUint32(0, true) !== crc32c(bytes.subarray(4))) return undefined;
    const table = view.getUint32(4, true);
    return {
      fused,
      expansions: new Uint32Array(bytes.buffer, headerBytes, table / 4),
      interpreter: bytes.subarray(headerBytes + table),
    };
  } catch {
    return undefined;
  }
}

/** A cache that cannot be written is as none. */
function writeCode(path: string, { expansions, interpreter }: HartParts): void {
  const bytes = new Uint8Array(headerBytes + expansions.byteLength + interpreter.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, expansions.byteLength, true);
  bytes.set(new Uint8Array(expansions.buffer), headerBytes);
  bytes.set(interpreter, headerBytes + expansions.byteLength);
  view.setUint32(0, crc32c(bytes.subarray(4)), true);
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, bytes, { flag: 'wx' });
    renameSync(temporary, path);
    keepNewest(dirname(path), maxKept);
  } catch {}
}
