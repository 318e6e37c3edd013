import type { Rootfs } from './rootfs.ts';

export interface User {
  readonly name: string;
  /** What passwd or shadow has: `*` and `!` let nobody in by password. */
  readonly password: string;
  readonly uid: number;
  readonly gid: number;
  readonly comment: string;
  readonly home: string;
  readonly shell: string;
}

export interface Group {
  readonly name: string;
  readonly password: string;
  readonly gid: number;
  readonly members: readonly string[];
}

export interface NewUser {
  readonly name: string;
  readonly uid?: number;
  /** A name or number of a group; by default a new group of the user's name. */
  readonly group?: string | number;
  readonly comment?: string;
  readonly home?: string;
  readonly shell?: string;
  readonly password?: string;
}

/** Debian Policy 9.2.2: ids of system accounts, and of ordinary ones. */
const ranges = { system: [100, 999], ordinary: [1000, 59_999] } as const;
export type Kind = keyof typeof ranges;
/** Group of system users without one of their own. */
export const NOGROUP = 65_534;
const SECONDS_PER_DAY = 86_400;

/** Users and groups of the root file system: passwd(5), group(5), shadow(5), gshadow(5). */
export class Accounts {
  readonly users: User[];
  readonly groups: Group[];

  private constructor(users: User[], groups: Group[]) {
    this.users = users;
    this.groups = groups;
  }

  /** Those that every Debian system has, from base-passwd's master files; none without it. */
  static async read(rootfs: Rootfs): Promise<Accounts> {
    const master = '/usr/share/base-passwd';
    const passwd =
      (await rootfs.text('/etc/passwd')) ?? (await rootfs.text(`${master}/passwd.master`));
    const group =
      (await rootfs.text('/etc/group')) ?? (await rootfs.text(`${master}/group.master`));
    return new Accounts(rows(passwd, 7).map(parseUser), rows(group, 4).map(parseGroup));
  }

  user(name: string): User | undefined {
    return this.users.find((user) => user.name === name);
  }

  group(nameOrId: string | number): Group | undefined {
    const id = Number(nameOrId);
    return this.groups.find((group) => group.name === nameOrId || group.gid === id);
  }

  /** Adds a group unless one of that name is there; the lowest free id by default. */
  addGroup(name: string, kind: Kind, gid?: number): Group {
    const there = this.group(name);
    if (there !== undefined) return there;
    const taken = new Set(this.groups.map((group) => group.gid));
    const group = { name, password: '!', gid: gid ?? lowestFree(kind, taken), members: [] };
    this.groups.push(group);
    return group;
  }

  /** Adds a user unless one of that name is there. The home directory is the caller's. */
  addUser(wanted: NewUser, kind: Kind): User {
    const there = this.user(wanted.name);
    if (there !== undefined) return there;
    const taken = new Set(this.users.map((user) => user.uid));
    // A user's own group has the user's number where that is free.
    if (wanted.group === undefined) for (const { gid } of this.groups) taken.add(gid);
    const uid = wanted.uid ?? lowestFree(kind, taken);
    const own = wanted.group === undefined;
    const group = own ? this.addGroup(wanted.name, kind, uid) : this.group(wanted.group ?? '');
    const user = {
      name: wanted.name,
      password: wanted.password ?? '!',
      uid,
      gid: group?.gid ?? (Number(wanted.group) || NOGROUP),
      comment: wanted.comment ?? '',
      home: wanted.home ?? '/nonexistent',
      shell: wanted.shell ?? '/usr/sbin/nologin',
    };
    this.users.push(user);
    return user;
  }

  addMember(groupName: string, user: string): void {
    const at = this.groups.findIndex((group) => group.name === groupName);
    const group = this.groups[at];
    if (group === undefined || group.members.includes(user)) return;
    this.groups[at] = { ...group, members: [...group.members, user] };
  }

  /** Writes the four files. Passwords go to shadow and gshadow, as `shadowconfig on` has it. */
  write(rootfs: Rootfs): void {
    if (this.users.length === 0) return;
    const day = Math.floor(rootfs.date / SECONDS_PER_DAY);
    const secret = { mode: 0o640, gid: this.group('shadow')?.gid ?? 0 };
    const passwd = this.users.map((user) => {
      return [user.name, 'x', user.uid, user.gid, user.comment, user.home, user.shell];
    });
    const shadow = this.users.map(({ name, password }) => [
      name,
      password,
      day,
      0,
      99_999,
      7,
      '',
      '',
      '',
    ]);
    const group = this.groups.map(({ name, gid, members }) => [name, 'x', gid, members.join(',')]);
    const gshadow = this.groups.map(({ name, password, members }) => [
      name,
      password,
      '',
      members.join(','),
    ]);
    rootfs.write('/etc/passwd', table(passwd));
    rootfs.write('/etc/group', table(group));
    rootfs.write('/etc/shadow', table(shadow), secret);
    rootfs.write('/etc/gshadow', table(gshadow), secret);
    // Ranges of subordinate ids of ordinary users: none yet.
    rootfs.writeMissing('/etc/subuid', '');
    rootfs.writeMissing('/etc/subgid', '');
  }
}

function rows(text: string | undefined, columns: number): string[][] {
  const lines = text?.split('\n').map((line) => line.split(':')) ?? [];
  return lines.filter((row) => row.length === columns);
}

function parseUser([name, password, uid, gid, comment, home, shell]: string[]): User {
  return {
    name: name!,
    password: password!,
    uid: Number(uid),
    gid: Number(gid),
    comment: comment!,
    home: home!,
    shell: shell!,
  };
}

function parseGroup([name, password, gid, members]: string[]): Group {
  const list = members === '' ? [] : members!.split(',');
  return { name: name!, password: password!, gid: Number(gid), members: list };
}

function lowestFree(kind: Kind, taken: ReadonlySet<number>): number {
  const [first, last] = ranges[kind];
  for (let id = first; id <= last; id++) if (!taken.has(id)) return id;
  return NOGROUP;
}

function table(lines: readonly (readonly (string | number)[])[]): string {
  return lines.map((line) => `${line.join(':')}\n`).join('');
}
