import type { CallOptions } from '@anole/bytes';
import type { UnpackedPackage } from '../package/unpacked.ts';
import { Accounts } from './accounts.ts';
import { type Alternative, installAlternatives, parseAlternative } from './alternatives.ts';
import { type ReplayContext, triplets } from './context.ts';
import { known } from './known.ts';
import { encodeLibraryCache, findLibraries } from './library-cache.ts';
import { reviewed } from './reviewed.ts';
import type { Rootfs } from './rootfs.ts';
import { type AddedBlock, isFrame, readScript, type Script, scriptDigest } from './script.ts';
import { applySysusers } from './sysusers.ts';
import { enableUnits } from './units.ts';

/** A package whose files are in place and whose scripts are to be replayed. */
export interface InstalledPackage {
  readonly name: string;
  readonly unpacked: UnpackedPackage;
}

/** What became of one maintainer script. */
export interface ScriptReport {
  readonly package: string;
  readonly script: 'preinst' | 'postinst';
  /**
   * `understood`: all it does is told by its text and was done. `known`: on the list, as it was when
   * it was reviewed. `changed`: on the list, but its text is another by now. `unknown`: does things
   * that nothing here knows; they were not done.
   */
  readonly status: 'understood' | 'known' | 'changed' | 'unknown';
  /** What it does, or the first statements that are not known. */
  readonly does: string;
  /** Names the text that was met: what `reviewed.ts` lists. */
  readonly digest: string;
}

export interface ReplayOptions extends CallOptions {
  /** Called once all scripts were replayed, before users and groups are written. */
  readonly beforeWriting?: (context: ReplayContext) => void;
}

/** Scripts that a first installation runs, in this order. debian-policy, chapter 6. */
const scripts = ['preinst', 'postinst'] as const;

/**
 * Does what the maintainer scripts of the packages would do at a first installation, without running
 * them: see docs/decisions/0055-maintainer-scripts-are-replayed.md.
 *
 * @param packages in the order of their configuration
 */
export async function replayScripts(
  rootfs: Rootfs,
  packages: readonly InstalledPackage[],
  architecture: string,
  options: ReplayOptions = {},
): Promise<{ readonly context: ReplayContext; readonly reports: readonly ScriptReport[] }> {
  const context: ReplayContext = {
    rootfs,
    accounts: await Accounts.read(rootfs),
    architecture,
    triplet: triplets[architecture] ?? architecture,
    alternatives: [],
    diversions: [],
  };
  const reports: ScriptReport[] = [];
  for (const installed of packages) {
    options.signal?.throwIfAborted();
    reports.push(...(await replayPackage(context, installed)));
  }
  installAlternatives(rootfs, context.alternatives);
  options.beforeWriting?.(context);
  context.accounts.write(rootfs);
  const libraries = await findLibraries(rootfs, context.triplet);
  if (libraries.length > 0) rootfs.write('/etc/ld.so.cache', encodeLibraryCache(libraries));
  return { context, reports };
}

async function replayPackage(
  context: ReplayContext,
  { name, unpacked }: InstalledPackage,
): Promise<ScriptReport[]> {
  const reports: ScriptReport[] = [];
  for (const script of scripts) {
    const text = unpacked.control[script];
    if (text === undefined) continue;
    const read = readScript(text);
    await replayText(context, read);
    reports.push(judge(name, script, read));
  }
  await known[name]?.replay?.(context);
  return reports;
}

/** Does what the text itself tells: alternatives, units, system users. */
async function replayText(context: ReplayContext, { added, lines }: Script): Promise<void> {
  for (const line of [...added.flatMap((block) => block.lines), ...lines]) {
    const alternative = parseAlternative(line);
    if (alternative) context.alternatives.push(alternative);
    const sysusers = /^systemd-sysusers .*?([\w.@-]+\.conf)/.exec(line);
    if (sysusers) {
      const text = await context.rootfs.text(`/usr/lib/sysusers.d/${sysusers[1]}`);
      applySysusers(context.accounts, text ?? '');
    }
  }
  await enableUnits(context.rootfs, added);
}

/** Tools of debhelper whose blocks are either replayed above or do nothing in an image. */
const handledTools = new Set([
  'dh_icons',
  'dh_installalternatives',
  'dh_installdeb',
  'dh_installinit',
  'dh_installmenu',
  'dh_installsystemd',
  'dh_installsystemduser',
  'dh_installsysusers',
  'dh_installtmpfiles',
  'dh_makeshlibs',
  'dh_python3',
  'dh_systemd_enable',
  'dh_systemd_start',
]);

export function judge(name: string, script: 'preinst' | 'postinst', read: Script): ScriptReport {
  const foreign = read.added.filter((block: AddedBlock) => !handledTools.has(block.tool));
  const own = read.lines.filter((line) => parseAlternative(line) === undefined);
  const open = [...own, ...foreign.flatMap((block) => block.lines)].filter(
    (line) => !isFrame(line),
  );
  const digest = scriptDigest(open);
  const report = { package: name, script, digest };
  if (open.length === 0) return { ...report, status: 'understood', does: describeText(read) };
  const entry = known[name];
  if (entry === undefined) {
    return { ...report, status: 'unknown', does: open.slice(0, 3).join(' … ').slice(0, 300) };
  }
  const isReviewed = reviewed[`${name}.${script}`]?.includes(digest);
  return { ...report, status: isReviewed ? 'known' : 'changed', does: entry.does };
}

function describeText({ added, lines }: Script): string {
  const all = [...added.flatMap((block) => block.lines), ...lines];
  const alternatives = all
    .map(parseAlternative)
    .filter((one): one is Alternative => one !== undefined);
  if (alternatives.length === 0) return 'nothing, or nothing but what debhelper adds';
  return `offers alternatives: ${alternatives.map((one) => one.name).join(', ')}`;
}
