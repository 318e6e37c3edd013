import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { Explorer } from '../../src/hart/jit/explore.ts';
import { regionsModule } from '../../src/hart/jit/module.ts';
import { assemble } from '../../src/isa/assemble.ts';
import { printFunction } from './print.ts';

// Each file in `cases` has a program, a line `---`, and what its first instruction is compiled to,
// with all that is reached from there. After a change that is meant, write them anew:
//   GOLDEN=write node -C anole-source --test packages/machine/test/golden/*.test.ts
const cases = join(import.meta.dirname, 'cases');
const PLACE = 0x20_0000;

for (const file of globSync('*.txt', { cwd: cases }).sort()) {
  test(`compiled as before: ${basename(file, '.txt').replaceAll('-', ' ')}`, () => {
    const path = join(cases, file);
    const [source, expected] = readFileSync(path, 'utf8').split('---\n') as [string, string];
    const code = compile(source);
    if (process.env['GOLDEN'] === 'write') writeFileSync(path, `${source}---\n${code}\n`);
    else assert.equal(`${code}\n`, expected);
  });
}

function compile(source: string): string {
  const words = assemble(source, 0x8000_0000n);
  const halves = new Uint16Array(words.buffer, words.byteOffset, words.length * 2);
  const explorer = new Explorer(
    (offset) => halves[offset / 2],
    () => false,
    320,
  );
  explorer.explore([0]);
  const region = explorer.region();
  const places = new Map(region.pages.map((page) => [page, PLACE + page * 4096]));
  const module = regionsModule([{ ...region, places }], { fused: true, shared: false });
  assert.ok(WebAssembly.validate(module));
  // The first two functions are those that find other code.
  return printFunction(module, 2);
}
