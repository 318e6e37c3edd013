import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PlanReport } from '@anole/oci/node';
import type { Report } from './harness.ts';

const anole = join(import.meta.dirname, '../packages/cli/bin/anole.js');

/**
 * What a distribution's image had over time, as the archive of one day can show it: each version has
 * some packages that the one before had not, and lacks some.
 */
const versions: readonly (readonly string[])[] = [
  ['less'],
  ['less', 'nano'],
  ['less', 'nano', 'file'],
  ['nano', 'file', 'curl'],
  ['file', 'curl', 'jq'],
  ['curl', 'jq', 'bc'],
  ['curl', 'jq', 'bc', 'xz-utils'],
  ['jq', 'bc', 'xz-utils', 'zstd'],
  ['bc', 'xz-utils', 'zstd', 'tree'],
  ['xz-utils', 'zstd', 'tree', 'patch'],
];

/** Seconds that a command may take: who waits longer waits for something that is broken. */
const PATIENCE = 600;
/** Versions unless inputs are to be large: each is an image of a distribution that has to be built. */
const FEW = 3;

/** Versions of one distribution's image, each of one layer, as registries have them today. */
export default async function ociPlan(report: Report): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'anole-bench-'));
  const limit = { timeout: PATIENCE * 1000, killSignal: 'SIGKILL' } as const;
  const counted = report.full ? versions : versions.slice(0, FEW);
  try {
    const names = counted.map((packages, number) => {
      const recipe = join(directory, `v${number}.yaml`);
      writeFileSync(recipe, `extends: base\npackages: [${packages.join(', ')}]\n`);
      const layout = join(directory, `v${number}`);
      const build = ['os', 'build', recipe, '--format', 'oci', '-o', layout, '-q'];
      const quiet = ['ignore', 'ignore', 'inherit'] as const;
      execFileSync(process.execPath, [anole, ...build], { ...limit, stdio: [...quiet] });
      return `oci:${layout}`;
    });
    const plan = [anole, 'image', 'plan', ...names, '--json'];
    const output = execFileSync(process.execPath, plan, { ...limit, maxBuffer: 2 ** 26 });
    const { now, plans, cheapest } = JSON.parse(output.toString()) as PlanReport;
    report.note(`${names.length} versions, ${Math.round(now / 1e6)} MB as layers`);
    for (const { chunking, shared, compressor, saved } of plans) {
      if (compressor !== 'zstd' || !shared) continue;
      const chunks = `${chunking.kind} chunks of ${chunking.size / 1024} KiB`;
      report.figure(`${chunks}, one dictionary, zstd: saved`, saved * 100, '%');
    }
    const least = report.full ? ' (at least 50)' : '';
    report.figure(`the cheapest plan saves${least}`, (cheapest?.saved ?? 0) * 100, '%');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
