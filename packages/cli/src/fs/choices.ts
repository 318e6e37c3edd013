import { createHash } from 'node:crypto';
import { labelsBy, type Owners, type WriteOptions } from '@anole/erofs';
import { usageError } from '../frame.ts';
import { readText } from './compressors.ts';
import { linearExpression } from './expressions.ts';
import { isOn } from './switches.ts';

/** What of a source goes into an image, and as whose: options by the names of mkfs.erofs. */
export interface ChoiceFlags {
  readonly xattrs: boolean;
  readonly xattrTolerance?: string;
  readonly allRoot?: boolean;
  readonly forceUid?: string;
  readonly forceGid?: string;
  readonly uidOffset?: string;
  readonly gidOffset?: string;
  readonly excludePath?: readonly string[];
  readonly excludeRegex?: readonly string[];
  readonly hardDereference?: boolean;
  readonly ignoreMtime?: boolean;
  readonly preserveMtime?: boolean;
  readonly fileContexts?: string;
  readonly mountPoint?: string;
  readonly xattrPrefix?: readonly string[];
  readonly xattrInodeDigest?: string | true;
  readonly aufs?: boolean;
  readonly ovlfsStrip?: string | true;
}

export function choicesOf(flags: ChoiceFlags): WriteOptions {
  const exclude = excluded(flags);
  const { hardDereference, ignoreMtime, preserveMtime, xattrPrefix } = flags;
  return {
    ...xattrsOf(flags),
    ...labelOf(flags),
    owners: ownersOf(flags),
    ...(exclude && { exclude }),
    ...(hardDereference && { hardDereference }),
    ...(ignoreMtime && !preserveMtime && { ignoreTimes: true }),
    ...(xattrPrefix && { xattrPrefixes: xattrPrefix }),
    ...digestsOf(flags),
    ...marksOf(flags),
  };
}

function digestsOf({ xattrInodeDigest: name }: ChoiceFlags): WriteOptions {
  if (name === undefined) return {};
  const sha256 = () => createHash('sha256');
  return { digests: name === true ? { sha256 } : { sha256, name } };
}

function marksOf({ aufs = false, ovlfsStrip = '0' }: ChoiceFlags): WriteOptions {
  const strip = isOn('--ovlfs-strip', ovlfsStrip);
  return aufs || strip ? { marks: { fromAufs: aufs, strip } } : {};
}

function labelOf({ fileContexts, mountPoint }: ChoiceFlags): WriteOptions {
  if (fileContexts !== undefined) {
    // Names may be those of others, and the expressions too.
    const compile = (text: string) => linearExpression(text, { loose: true });
    const from = mountPoint === undefined ? {} : { mountPoint };
    return { label: labelsBy(readText(fileContexts), { ...from, compile }) };
  }
  if (mountPoint === undefined) return {};
  throw usageError('Cannot use --mount-point without --file-contexts: it is for labels', 'fs mk');
}

function xattrsOf({ xattrs, xattrTolerance }: ChoiceFlags): WriteOptions {
  if (xattrTolerance === undefined) return { xattrs };
  const tolerance = integer(xattrTolerance, '-x', -(2 ** 31));
  return tolerance < 0 ? { xattrs: false } : { xattrs, xattrTolerance: tolerance };
}

function ownersOf(flags: ChoiceFlags): Owners {
  const { allRoot, forceUid, forceGid, uidOffset, gidOffset } = flags;
  return {
    ...(allRoot && { uid: 0, gid: 0 }),
    ...(forceUid !== undefined && { uid: integer(forceUid, '--force-uid') }),
    ...(forceGid !== undefined && { gid: integer(forceGid, '--force-gid') }),
    ...(uidOffset !== undefined && { uidOffset: integer(uidOffset, '--uid-offset', -(2 ** 32)) }),
    ...(gidOffset !== undefined && { gidOffset: integer(gidOffset, '--gid-offset', -(2 ** 32)) }),
  };
}

function integer(text: string, option: string, least = 0): number {
  const number = Number(text);
  const fits = /^-?\d+$/.test(text) && number >= least && number < 2 ** 32;
  if (fits) return number;
  throw usageError(
    `Cannot use ${option} ${text}: give a whole number from ${least} to ${2 ** 32 - 1}`,
    'fs mk',
  );
}

function excluded(flags: ChoiceFlags): ((path: string) => boolean) | undefined {
  const { excludePath = [], excludeRegex = [] } = flags;
  if (excludePath.length === 0 && excludeRegex.length === 0) return undefined;
  const paths = new Set(excludePath.map((path) => path.replace(/^\/+|\/+$/g, '')));
  const expressions = excludeRegex.map(expression);
  return (path) => paths.has(path) || expressions.some((one) => one.test(path));
}

function expression(text: string): RegExp {
  try {
    return linearExpression(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw usageError(`Cannot use --exclude-regex ${text}: ${reason}`, 'fs mk');
  }
}
