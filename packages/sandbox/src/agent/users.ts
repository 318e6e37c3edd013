import { readText } from './system.ts';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly home: string;
}

/**
 * Looks up `user[:group]`, each a name or a number, in the image's /etc/passwd and /etc/group.
 * A number without an entry is taken as it is, with group 0, as container runtimes do; a name
 * without an entry gives undefined.
 */
export function identityOf(specification: string): Identity | undefined {
  const colon = specification.indexOf(':');
  const userText = colon < 0 ? specification : specification.slice(0, colon);
  const groupText = colon < 0 ? undefined : specification.slice(colon + 1);
  const entry = records('/etc/passwd').find((record) => matches(record, userText));
  if (entry === undefined && !isNumber(userText)) return undefined;
  const uid = Number(entry?.[2] ?? userText);
  const groups = records('/etc/group');
  let gid = Number(entry?.[3] ?? 0);
  if (groupText !== undefined && groupText !== '') {
    const group = groups.find((record) => matches(record, groupText));
    if (group === undefined && !isNumber(groupText)) return undefined;
    gid = Number(group?.[2] ?? groupText);
  }
  const name = entry?.[0];
  const supplementary =
    name === undefined || groupText !== undefined
      ? []
      : groups
          .filter((record) => record[3]?.split(',').includes(name))
          .map((record) => Number(record[2]));
  return { uid, gid, groups: supplementary, home: entry?.[5] || '/' };
}

function records(path: string): string[][] {
  return readText(path)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':'));
}

function matches(record: readonly string[], wanted: string): boolean {
  return record[0] === wanted || (isNumber(wanted) && record[2] === String(Number(wanted)));
}

function isNumber(text: string): boolean {
  return /^[0-9]{1,10}$/.test(text) && Number(text) < 0xffffffff;
}
