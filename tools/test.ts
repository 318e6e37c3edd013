// `npm test`: the checks, then every test. Arguments narrow the tests: `npm test -- erofs compose`
// runs the files whose path contains one of the words, without the checks.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const words = process.argv.slice(2);
const files = globSync(['packages/*/{src,test}/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();

if (files.length === 0) {
  console.error(`no test file matches: ${words.join(' ')}`);
  process.exit(1);
}
if (words.length === 0) run([join(import.meta.dirname, 'check.ts')]);
run([
  '-C',
  'anole-source',
  '--disable-warning=ExperimentalWarning',
  '--test',
  '--test-concurrency=2',
  // A file that hangs fails, instead of all that wait for it.
  '--test-timeout=1200000',
  ...files,
]);

function run(args: readonly string[]): void {
  // Hundreds of processes start from the same sources: what removing their types and compiling them
  // gives serves all. It is half of what a process that does little costs.
  const NODE_COMPILE_CACHE = join(root, 'node_modules/.cache/compile');
  const env = { NODE_COMPILE_CACHE, ...process.env };
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env });
  if (status !== 0) process.exit(status ?? 1);
}
