import { type Accounts, NOGROUP } from './accounts.ts';
import { literalWords } from './script.ts';

/** Applies lines of sysusers.d(5): u (user with group), g (group), m (member). */
export function applySysusers(accounts: Accounts, text: string): void {
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [kind, name, id = '-', comment = '', home = '-', shell = '-'] = literalWords(line) ?? [];
    if (kind === undefined || name === undefined) continue;
    if (kind === 'g') accounts.addGroup(name, 'system', numberOf(id));
    else if (kind === 'm') accounts.addMember(id, name);
    else if (/^u!?$/.test(kind)) {
      const [uid = '-', group] = id.split(':');
      accounts.addUser(
        {
          name,
          password: '!*',
          comment: comment === '-' ? '' : comment,
          home: home === '-' ? '/' : home,
          shell: shell === '-' ? '/usr/sbin/nologin' : shell,
          ...(numberOf(uid) === undefined ? {} : { uid: numberOf(uid)! }),
          ...(group === undefined ? {} : { group: accounts.group(group)?.gid ?? NOGROUP }),
        },
        'system',
      );
    }
  }
}

function numberOf(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
