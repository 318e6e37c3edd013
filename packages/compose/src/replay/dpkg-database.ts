import { createHash } from 'node:crypto';
import type { UnpackedPackage } from '../package/unpacked.ts';
import type { Diversion } from './context.ts';
import type { InstalledPackage } from './replay.ts';
import type { Rootfs } from './rootfs.ts';

const ADMIN = '/var/lib/dpkg';
/** dpkg's order of fields in its status file; others follow as they come. dpkg, lib/dpkg/parse.c. */
const fieldOrder = [
  'Package',
  'Essential',
  'Protected',
  'Status',
  'Priority',
  'Section',
  'Installed-Size',
  'Maintainer',
  'Bugs',
  'Architecture',
  'Multi-Arch',
  'Source',
  'Version',
  'Replaces',
  'Provides',
  'Depends',
  'Pre-Depends',
  'Recommends',
  'Suggests',
  'Breaks',
  'Conflicts',
  'Enhances',
  'Conffiles',
  'Description',
];
/** Control files that are not kept in the info directory: they live on in the status file. */
const notKept = new Set(['control']);

/**
 * Writes /var/lib/dpkg, so that dpkg and apt in the guest see the packages as installed: status,
 * lists of files, checksums, scripts, triggers, diversions. deb(5), dpkg-query(1).
 */
export async function writeDpkgDatabase(
  rootfs: Rootfs,
  packages: readonly InstalledPackage[],
  diversions: readonly Diversion[],
  architecture: string,
): Promise<void> {
  const paragraphs: string[] = [];
  const byName = [...packages].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const installed of byName) {
    const fields = parseFields(installed.unpacked.control['control'] ?? '');
    writeInfo(rootfs, installed, fields);
    paragraphs.push(describe(await withConffiles(installed, fields)));
  }
  rootfs.write(`${ADMIN}/status`, paragraphs.join('\n') + (paragraphs.length > 0 ? '\n' : ''));
  rootfs.write(`${ADMIN}/arch`, `${architecture}\n`);
  rootfs.write(`${ADMIN}/info/format`, '1\n');
  const lines = diversions.flatMap((one) => [one.path, one.to, one.package]);
  if (lines.length > 0)
    rootfs.write(`${ADMIN}/diversions`, lines.map((line) => `${line}\n`).join(''));
  for (const name of ['alternatives', 'parts', 'triggers', 'updates'])
    rootfs.mkdir(`${ADMIN}/${name}`);
  writeTriggers(rootfs, byName);
}

/** Fields of the control file, continuation lines with their newlines. */
function parseFields(control: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const match of control.matchAll(/^([!-9;-~]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
    fields.set(match[1]!, match[2]!);
  }
  return fields;
}

/** Adds the status, and the conffiles with the digests of what the package brought. */
async function withConffiles(
  { unpacked }: InstalledPackage,
  fields: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const all = new Map(fields).set('Status', 'install ok installed');
  const lines: string[] = [];
  for (const line of (unpacked.control['conffiles'] ?? '').split('\n')) {
    const [, flag, path] = /^(?:([\w-]+)\s+)?(\/.*)$/.exec(line.trim()) ?? [];
    if (path === undefined) continue;
    const digest = flag === undefined ? await digestOf(unpacked, path) : undefined;
    lines.push(`\n ${path} ${digest ?? 'newconffile'}${flag === undefined ? '' : ` ${flag}`}`);
  }
  if (lines.length > 0) all.set('Conffiles', lines.join(''));
  return all;
}

async function digestOf(unpacked: UnpackedPackage, path: string): Promise<string | undefined> {
  const entry = unpacked.entries.find((one) => one.path === path.slice(1));
  if (entry?.offset === undefined || entry.size === undefined) return undefined;
  const bytes = await unpacked.contents.read(entry.offset, entry.size);
  return createHash('md5').update(bytes).digest('hex');
}

function describe(fields: ReadonlyMap<string, string>): string {
  const rank = (name: string) => fieldOrder.indexOf(name) + 1 || fieldOrder.length + 1;
  const names = [...fields.keys()].sort((a, b) => rank(a) - rank(b));
  return names
    .map((name) => {
      const value = fields.get(name)!;
      return `${name}:${value.startsWith('\n') ? '' : ' '}${value}\n`;
    })
    .join('');
}

function writeInfo(
  rootfs: Rootfs,
  { name, unpacked }: InstalledPackage,
  fields: ReadonlyMap<string, string>,
): void {
  const isMultiArch = fields.get('Multi-Arch') === 'same';
  const base = `${ADMIN}/info/${name}${isMultiArch ? `:${fields.get('Architecture')}` : ''}`;
  const paths = unpacked.entries.map(({ path }) => (path === '' ? '/.\n' : `/${path}\n`));
  rootfs.write(`${base}.list`, paths.join(''));
  for (const [file, text] of Object.entries(unpacked.control)) {
    if (notKept.has(file)) continue;
    const isScript = /^(pre|post)(inst|rm)$|^config$/.test(file);
    rootfs.write(`${base}.${file}`, text, { mode: isScript ? 0o755 : 0o644 });
  }
}

/** Who is interested in which trigger: files in `File`, others by a file of their name. */
function writeTriggers(rootfs: Rootfs, packages: readonly InstalledPackage[]): void {
  const files: string[] = [];
  const named = new Map<string, string[]>();
  for (const { name, unpacked } of packages) {
    for (const line of (unpacked.control['triggers'] ?? '').split('\n')) {
      const [, wait, trigger] = /^interest(-await|-noawait)?\s+(\S+)$/.exec(line.trim()) ?? [];
      if (trigger === undefined) continue;
      const who = `${name}${wait === '-noawait' ? '/noawait' : ''}`;
      if (trigger.startsWith('/')) files.push(`${trigger} ${who}\n`);
      else if (/^[\w.+-]+$/.test(trigger)) named.set(trigger, [...(named.get(trigger) ?? []), who]);
    }
  }
  rootfs.write(`${ADMIN}/triggers/File`, files.join(''));
  rootfs.write(`${ADMIN}/triggers/Unincorp`, '');
  for (const [trigger, who] of named) {
    rootfs.write(`${ADMIN}/triggers/${trigger}`, who.map((one) => `${one}\n`).join(''));
  }
}
