import type { Rootfs } from './rootfs.ts';

/** A file of /usr/share/pam-configs: pam-auth-update(8) and the PAMConfigFrameworkSpec. */
interface Profile {
  readonly file: string;
  readonly priority: number;
  readonly fields: ReadonlyMap<string, string>;
}

const PROFILES = '/usr/share/pam-configs';
const TEMPLATES = '/usr/share/pam';
/** The common files, the field of a profile each is made from, and how PAM calls the kind. */
const kinds = [
  { file: 'account', field: 'Account', kind: 'account' },
  { file: 'auth', field: 'Auth', kind: 'auth' },
  { file: 'password', field: 'Password', kind: 'password' },
  { file: 'session', field: 'Session', kind: 'session' },
  { file: 'session-noninteractive', field: 'Session', kind: 'session' },
] as const;

/** Writes /etc/pam.d/common-* with the profiles that are on by default, as at a first installation. */
export async function updatePam(rootfs: Rootfs): Promise<void> {
  const profiles = await readProfiles(rootfs);
  for (const { file, field, kind } of kinds) {
    const template = await rootfs.text(`${TEMPLATES}/common-${file}`);
    if (template === undefined || rootfs.at(`/etc/pam.d/common-${file}`) !== undefined) continue;
    const usable = profiles.filter(({ fields }) => {
      const quiet = file !== 'session-noninteractive';
      return fields.has(field) && (quiet || fields.get('Session-Interactive-Only') !== 'yes');
    });
    const blocks = {
      primary: stack(usable, field, 'Primary'),
      additional: stack(usable, field, 'Additional'),
    };
    const text = template
      .replace(`$${kind}_primary\n`, () => render(blocks.primary, kind, field))
      .replace(`$${kind}_additional\n`, () => render(blocks.additional, kind, ''));
    rootfs.write(`/etc/pam.d/common-${file}`, text);
    rootfs.write(`/var/lib/pam/${file}`, describe([...blocks.primary, ...blocks.additional]));
  }
  const seen = rootfs.list(PROFILES).map((name) => `${name}\n`);
  if (seen.length > 0) rootfs.write('/var/lib/pam/seen', seen.join(''));
}

async function readProfiles(rootfs: Rootfs): Promise<Profile[]> {
  const profiles: Profile[] = [];
  for (const file of rootfs.list(PROFILES)) {
    const fields = parseFields((await rootfs.text(`${PROFILES}/${file}`)) ?? '');
    const isOn = fields.get('Default') === 'yes';
    if (isOn) profiles.push({ file, priority: Number(fields.get('Priority') ?? 0), fields });
  }
  return profiles.sort((a, b) => b.priority - a.priority || (a.file < b.file ? -1 : 1));
}

function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  let current = '';
  for (const line of text.split('\n')) {
    const field = /^([\w-]+):\s*(.*)$/.exec(line);
    if (field) {
      current = field[1]!;
      fields.set(current, field[2]!.trim());
    } else if (line.trim() !== '') {
      fields.set(current, [fields.get(current), line.trim()].filter(Boolean).join('\n'));
    }
  }
  return fields;
}

interface StackLine {
  readonly module: string;
  readonly text: string;
}

/** The lines of one block; the first module of a stack takes its `-Initial` form where it has one. */
function stack(profiles: readonly Profile[], field: string, block: string): StackLine[] {
  const inBlock = profiles.filter(({ fields }) => (fields.get(`${field}-Type`) ?? '') === block);
  return inBlock.flatMap(({ file, fields }, index) => {
    const text =
      (index === 0 ? fields.get(`${field}-Initial`) : undefined) ?? fields.get(field) ?? '';
    return text.split('\n').map((line) => ({ module: file, text: line }));
  });
}

/** `end` jumps over the rest of its block: it becomes the count of modules to skip. */
function render(lines: readonly StackLine[], kind: string, primary: string): string {
  if (lines.length === 0 && primary === 'Session')
    return `${kind}\t[default=1]\t\t\tpam_permit.so\n`;
  return lines
    .map(
      ({ text }, index) => `${kind}\t${text.replace(/\bend\b/g, String(lines.length - index))}\n`,
    )
    .join('');
}

function describe(lines: readonly StackLine[]): string {
  return lines.map(({ module, text }) => `Module: ${module}\n${text}\n`).join('');
}
