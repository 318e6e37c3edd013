import type { ControlFields } from './control.ts';
import { type DependencyField, parseDependencies } from './dependency.ts';
import { ArchiveError } from './errors.ts';
import type { MultiArch, PackageRecord } from './types.ts';
import { parseVersion } from './version.ts';

const nameForm = /^[a-z0-9][a-z0-9+.-]{0,254}$/;
const architectureForm = /^[a-z0-9][a-z0-9-]{0,62}$/;
const sha256Form = /^[0-9a-f]{64}$/;
const multiArchs: readonly string[] = ['no', 'same', 'foreign', 'allowed'];

/** A paragraph of a `Packages` file, checked; dependency fields are parsed when asked for. */
export class IndexedRecord implements PackageRecord {
  readonly fields: ControlFields;
  readonly suite: string;
  readonly notAutomatic: boolean;
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly filename: string;
  readonly size: number;
  readonly sha256: string;
  readonly #target: string;
  readonly #parsed = new Map<string, DependencyField>();

  /** @throws ArchiveError `ARCHIVE_BAD_CONTROL`, `ARCHIVE_BAD_VERSION`. */
  constructor(fields: ControlFields, suite: string, target: string, notAutomatic: boolean) {
    this.fields = fields;
    this.suite = suite;
    this.notAutomatic = notAutomatic;
    this.#target = target;
    this.name = checked(fields, 'Package', (value) => nameForm.test(value));
    this.version = checked(fields, 'Version', (value) => parseVersion(value) !== undefined);
    this.architecture = checked(fields, 'Architecture', (value) => architectureForm.test(value));
    this.filename = checked(fields, 'Filename', isPlainPath);
    this.size = Number(checked(fields, 'Size', isSize));
    this.sha256 = checked(fields, 'SHA256', (value) => sha256Form.test(value));
  }

  get installedSize(): number {
    const kibibytes = this.fields.get('Installed-Size');
    return kibibytes === undefined || !isSize(kibibytes) ? 0 : Number(kibibytes) * 1024;
  }

  get essential(): boolean {
    return this.fields.get('Essential') === 'yes';
  }

  get priority(): string {
    return this.fields.get('Priority') ?? 'optional';
  }

  get multiArch(): MultiArch {
    const value = this.fields.get('Multi-Arch') ?? 'no';
    return multiArchs.includes(value) ? (value as MultiArch) : 'no';
  }

  get source(): string {
    return this.fields.get('Source')?.replace(/ *\(.*$/, '') ?? this.name;
  }

  get preDepends(): DependencyField {
    return this.#dependencies('Pre-Depends');
  }

  get depends(): DependencyField {
    return this.#dependencies('Depends');
  }

  get recommends(): DependencyField {
    return this.#dependencies('Recommends');
  }

  get conflicts(): DependencyField {
    return this.#dependencies('Conflicts');
  }

  get breaks(): DependencyField {
    return this.#dependencies('Breaks');
  }

  get replaces(): DependencyField {
    return this.#dependencies('Replaces');
  }

  get provides(): DependencyField {
    return this.#dependencies('Provides');
  }

  #dependencies(field: string): DependencyField {
    let parsed = this.#parsed.get(field);
    if (parsed === undefined) {
      const text = this.fields.get(field);
      parsed = text === undefined ? [] : parseDependencies(text, { architecture: this.#target });
      this.#parsed.set(field, parsed);
    }
    return parsed;
  }
}

function checked(fields: ControlFields, name: string, isGood: (value: string) => boolean): string {
  const value = fields.get(name);
  if (value !== undefined && isGood(value)) return value;
  const met = value === undefined ? 'no such field' : JSON.stringify(value.slice(0, 80));
  throw new ArchiveError(
    'ARCHIVE_BAD_CONTROL',
    `Cannot use package ${fields.get('Package')?.slice(0, 80)}: ${name} is ${met}`,
  );
}

/** A path that stays below the archive's base URI. */
export function isPlainPath(path: string): boolean {
  const parts = path.split('/');
  return (
    path.length <= 4096 &&
    /^[\w.+~:%@,/-]+$/.test(path) &&
    !parts.includes('..') &&
    !parts.includes('')
  );
}

function isSize(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}
