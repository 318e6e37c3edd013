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
  { file: 'account', field: 'Account', kind: 'account', variable: 'account' },
  { file: 'auth', field: 'Auth', kind: 'auth', variable: 'auth' },
  { file: 'password', field: 'Password', kind: 'password', variable: 'password' },
  { file: 'session', field: 'Session', kind: 'session', variable: 'session' },
  { file: 'session-noninteractive', field: 'Session', kind: 'session', variable: 'session_nonint' },
] as const;

/** Writes /etc/pam.d/common-* with the profiles that are on by default, as at a first installation. */
export async function updatePam(rootfs: Rootfs): Promise<void> {
  const profiles = await readProfiles(rootfs);
  for (const { file, field, kind, variable } of kinds) {
    const template = await rootfs.text(`${TEMPLATES}/common-${file}`);
    if (template === undefined || rootfs.at(`/etc/pam.d/common-${file}`) !== undefined) continue;
    const usable = profiles.filter(({ fields }) => {
      const isInteractive = file !== 'session-noninteractive';
      return (
        fields.has(field) && (isInteractive || fields.get('Session-Interactive-Only') !== 'yes')
      );
    });
    const primary = stack(usable, field, 'Primary');
    if (primary.length === 0) primary.push(none);
    const additional = stack(usable, field, 'Additional');
    const text = template
      .replace(`$${variable}_primary\n`, () => render(primary, kind))
      .replace(`$${variable}_additional\n`, () => render(additional, kind));
    rootfs.write(`/etc/pam.d/common-${file}`, text);
    rootfs.write(`/var/lib/pam/${file}`, describe([...primary, ...additional]));
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

/** Stands for a primary block without a module. */
const none: StackLine = { module: 'null', text: '[default=1]\t\t\tpam_permit.so' };

/** `end` jumps over the rest of its block: it becomes the count of modules to skip. */
function render(lines: readonly StackLine[], kind: string): string {
  return lines
    .map((line, index) => {
      const text = line.text.replace(/\bend\b/g, String(lines.length - index));
      // pam-auth-update leaves a blank where a module has no arguments.
      const blank = line !== none && text.endsWith('.so') ? ' ' : '';
      return `${kind}\t${text}${blank}\n`;
    })
    .join('');
}

function describe(lines: readonly StackLine[]): string {
  return lines.map(({ module, text }) => `Module: ${module}\n${text}\n`).join('');
}
