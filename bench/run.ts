// `npm run bench [-- TOPIC…] [--full] [--json]`: each topic is a file `TOPIC.bench.ts` beside this one. Both
// sides of every comparison run in turn in one run: on a shared machine ratios hold, times do not.
import { existsSync, readdirSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { type Bench, compare, type Report, type Result } from './harness.ts';

const words = process.argv.slice(2);
const json = words.includes('--json');
const topics = words.filter((word) => !word.startsWith('--'));
const known = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.slice(0, -'.bench.ts'.length));
for (const topic of topics) {
  if (existsSync(join(import.meta.dirname, `${topic}.bench.ts`))) continue;
  console.error(`no bench named ${topic}; there are: ${known.join(', ')}`);
  process.exit(2);
}

const results: Result[] = [];
const say = (text: string) => json || console.log(text);
const report: Report = {
  full: words.includes('--full'),
  option: (name) => words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3),
  async compare(comparison) {
    const result = await compare(comparison);
    results.push(result);
    say(row(result, comparison.ours.name, comparison.peer.name));
    return result;
  },
  figure: (name, value, unit) => say(`  ${name}: ${short(value)} ${unit}`),
  skip: (name, reason) => say(`  ${name}: skipped, ${reason}`),
  note: (text) => say(`  ${text}`),
};

say(
  `${cpus().length} x ${cpus()[0]?.model ?? 'cpu'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
);
for (const topic of topics.length > 0 ? topics : known) {
  say(`\n${topic}`);
  const module: { default: Bench } = await import(`./${topic}.bench.ts`);
  await module.default(report);
}
if (json) console.log(JSON.stringify(results, null, 2));

function row(result: Result, ours: string, peer: string): string {
  const { name, unit, ratio, target } = result;
  const aim = target === undefined ? '' : `  target ${target}${ratio <= target ? '' : '  MISSED'}`;
  return `  ${name}: ${ours} ${short(result.ours)} ${unit}, ${peer} ${short(result.peer)} ${unit}, ratio ${ratio.toFixed(2)}${aim}`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toPrecision(3);
}
