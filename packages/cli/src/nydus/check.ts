import { checkRafs, type RafsFinding } from '@anole/nydus';
import { checkBlobNames } from '@anole/nydus/node';
import type { CommandContext } from '../context.ts';
import { shown } from '../fs/format.ts';
import { formatBytes } from '../progress.ts';
import { type BlobFlags, openRafsFile } from './open.ts';

interface CheckFlags extends BlobFlags {
  readonly data: boolean;
}

/** 0 where the image is sound, 1 where it is not; what cannot be checked raises. */
export async function checkAction(
  context: CommandContext,
  file: string,
  flags: CheckFlags,
): Promise<number> {
  using opened = await openRafsFile(file, flags);
  const call = { signal: context.signal, onProgress: context.progress };
  const onFinding = (finding: RafsFinding) => {
    if (!context.json) context.out(describe(finding));
  };
  const options = { ...call, data: flags.data, onFinding };
  const report = await checkRafs(opened.image, opened.bootstrap, options);
  const named: RafsFinding[] = [];
  if (flags.data) {
    for await (const finding of checkBlobNames(opened.image, call)) {
      named.push(finding);
      onFinding(finding);
    }
  }
  context.endProgress();
  const { errors, files, chunks, verified } = report;
  const warnings = report.warnings + named.length;
  if (context.json) {
    const findings = [...report.findings, ...named];
    context.out(JSON.stringify({ image: file, ...report, warnings, findings }, null, 2));
  } else {
    const verdict = errors > 0 ? 'damaged' : warnings > 0 ? 'sound, with warnings' : 'sound';
    context.out(
      `${file}: ${verdict}: ${errors} errors, ${warnings} warnings; ${files} files, ` +
        `${chunks} chunks, ${formatBytes(verified)} verified`,
    );
  }
  return errors > 0 ? 1 : 0;
}

function describe({ severity, code, message, blob, path }: RafsFinding): string {
  const where = [path !== undefined && shown(path), blob].filter((part) => part);
  return `${severity}: ${[...where, message].join(': ')} (${code})`;
}
