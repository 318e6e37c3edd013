import { SandboxError } from '../../errors.ts';
import type { Namespace } from './namespace.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const MAX_TABLE = 1 << 20;

/**
 * `user[:group]`, each a name or a number, as the image's /etc/passwd and /etc/group have them.
 *
 * @throws SandboxError `SANDBOX_NO_USER`
 */
export async function ownerOf(names: Namespace, specification: string): Promise<Owner> {
  const [user = '', group] = specification.split(':');
  const users = await table(names, '/etc/passwd');
  const entry = users.find((record) => matches(record, user));
  const uid = Number(entry?.[2] ?? numberIn(user) ?? Number.NaN);
  let gid = Number(entry?.[3] ?? 0);
  if (group !== undefined && group !== '') {
    const groups = await table(names, '/etc/group');
    const found = groups.find((record) => matches(record, group));
    gid = Number(found?.[2] ?? numberIn(group) ?? Number.NaN);
  }
  if (isId(uid) && isId(gid)) return { uid, gid };
  const message = `Cannot find the user or group ${specification} in the image`;
  throw new SandboxError('SANDBOX_NO_USER', message);
}

async function table(names: Namespace, path: string): Promise<string[][]> {
  try {
    const { node } = await names.at(path);
    const bytes = await node.read(0, MAX_TABLE);
    const lines = new TextDecoder().decode(bytes).split('\n');
    return lines.map((line) => line.split(':'));
  } catch {
    return [];
  }
}

function matches([name, , id]: readonly string[], wanted: string): boolean {
  return wanted !== '' && (name === wanted || id === numberIn(wanted));
}

function numberIn(text: string): string | undefined {
  return /^[0-9]{1,10}$/.test(text) ? String(Number(text)) : undefined;
}

function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < 0xffffffff;
}
