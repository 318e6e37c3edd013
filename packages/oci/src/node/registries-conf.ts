import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { systemCode } from '@anole/host';
import { OciError } from '../errors.ts';
import { JsonObject } from '../json.ts';
import {
  formatReference,
  isWhole,
  parseReference,
  type Reference,
  type ShortReference,
} from '../reference.ts';

/** Where a repository is really asked for. */
export interface Place {
  readonly reference: Reference;
  /** Plain HTTP, and certificates nobody knows, will do. */
  readonly insecure: boolean;
  readonly isMirror: boolean;
}

interface Rule {
  readonly prefix: string;
  readonly location: string;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly mirrors: readonly Mirror[];
}

interface Mirror {
  readonly location: string;
  readonly insecure: boolean;
  readonly pulls: 'all' | 'digest-only' | 'tag-only';
}

/** What containers-registries.conf(5) says on this computer, version 2 of its format. */
export class RegistriesConfiguration {
  private readonly search: readonly string[];
  private readonly rules: readonly Rule[];
  private readonly aliases: ReadonlyMap<string, string>;

  constructor(
    search: readonly string[] = [],
    rules: readonly Rule[] = [],
    aliases: ReadonlyMap<string, string> = new Map(),
  ) {
    this.search = search;
    this.rules = rules;
    this.aliases = aliases;
  }

  /**
   * Reads the user's file or the system's, and the small files beside both. `ANOLE_REGISTRY` names
   * the registry of short names before all of them.
   *
   * @throws OciError `OCI_BAD_CONFIGURATION`
   */
  static async load(
    environment: Readonly<Record<string, string | undefined>> = process.env,
  ): Promise<RegistriesConfiguration> {
    let search: readonly string[] = [];
    const rules = new Map<string, Rule>();
    const aliases = new Map<string, string>();
    for (const path of await configurationFiles(environment)) {
      const json = await readToml(path);
      if (json === undefined) continue;
      search = json.strings('unqualified-search-registries') ?? search;
      for (const each of json.objects('registry')) {
        const rule = readRule(each);
        rules.set(rule.prefix, rule);
      }
      for (const [name, full] of Object.entries(json.texts('aliases') ?? {})) {
        aliases.set(name, full);
      }
    }
    const own = environment['ANOLE_REGISTRY'];
    return new RegistriesConfiguration(own ? [own] : search, [...rules.values()], aliases);
  }

  /**
   * The whole name for a short one: by an alias, or in the one registry that is configured for
   * short names. Of several, none is guessed: anybody may own a name in the first.
   *
   * @throws OciError `OCI_NO_REGISTRY`
   */
  expand(reference: Reference | ShortReference): Reference {
    if (isWhole(reference)) return reference;
    const { repository, ...selector } = reference;
    const alias = this.aliases.get(repository);
    const [only] = this.search;
    const name = alias ?? (this.search.length === 1 ? `${only}/${repository}` : undefined);
    const found = name === undefined ? undefined : parseReference(name);
    if (found && isWhole(found)) return { ...found, ...selector };
    const shown = formatReference(reference);
    const candidates = this.search.map((host) => `${host}/${shown}`);
    throw new OciError('OCI_NO_REGISTRY', `Cannot use the name ${shown}: it names no registry`, {
      details: { candidates },
      hint:
        candidates.length > 0
          ? `Write one of ${candidates.join(', ')}.`
          : `Write HOST/${shown}, or set ANOLE_REGISTRY=HOST, or unqualified-search-registries in ~/.config/containers/registries.conf.`,
    });
  }

  /**
   * Where to read from: mirrors first, the registry itself last.
   *
   * @throws OciError `OCI_FORBIDDEN` for what is blocked
   */
  places(reference: Reference): readonly Place[] {
    const name = `${reference.host}/${reference.repository}`;
    const rule = this.ruleFor(name);
    if (rule === undefined) return [{ reference, insecure: false, isMirror: false }];
    if (rule.blocked) {
      throw new OciError('OCI_FORBIDDEN', `Cannot use ${name}: registries.conf blocks it`);
    }
    const kind = reference.digest === undefined ? 'tag-only' : 'digest-only';
    const mirrors = rule.mirrors
      .filter(({ pulls }) => pulls === 'all' || pulls === kind)
      .map(({ location, insecure }) => ({
        reference: moved(reference, name, rule.prefix, location),
        insecure,
        isMirror: true,
      }));
    const own = moved(reference, name, rule.prefix, rule.location);
    return [...mirrors, { reference: own, insecure: rule.insecure, isMirror: false }];
  }

  /** The rule with the longest prefix that a name has. */
  private ruleFor(name: string): Rule | undefined {
    let best: Rule | undefined;
    for (const rule of this.rules) {
      if (!hasPrefix(name, rule.prefix)) continue;
      if (best === undefined || rule.prefix.length > best.prefix.length) best = rule;
    }
    return best;
  }
}

/** A prefix ends where a component ends; `*.example` stands for the hosts below it. */
function hasPrefix(name: string, prefix: string): boolean {
  if (prefix.startsWith('*.')) return (name.split('/')[0] ?? '').endsWith(prefix.slice(1));
  return name === prefix || name.startsWith(`${prefix}/`);
}

function moved(reference: Reference, name: string, prefix: string, location: string): Reference {
  if (prefix.startsWith('*.') && location === prefix) return reference;
  const matched = prefix.startsWith('*.') ? (name.split('/')[0] ?? '') : prefix;
  const found = parseReference(location + name.slice(matched.length));
  if (!isWhole(found)) {
    throw new OciError('OCI_BAD_CONFIGURATION', `Cannot use the location ${location}: no host`);
  }
  const { tag, digest } = reference;
  return { ...found, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

function readRule(json: JsonObject): Rule {
  const location = json.optionalString('location');
  const prefix = json.optionalString('prefix') ?? location;
  if (prefix === undefined) throw json.wrong('prefix', 'missing, and so is "location"');
  return {
    prefix,
    location: location ?? prefix,
    insecure: json.raw['insecure'] === true,
    blocked: json.raw['blocked'] === true,
    mirrors: json.objects('mirror').map((mirror) => readMirror(mirror, json)),
  };
}

function readMirror(json: JsonObject, registry: JsonObject): Mirror {
  const given = json.optionalString('pull-from-mirror') ?? 'all';
  if (given !== 'all' && given !== 'digest-only' && given !== 'tag-only') {
    throw json.wrong('pull-from-mirror', 'unknown');
  }
  const pulls = registry.raw['mirror-by-digest-only'] === true ? 'digest-only' : given;
  return { location: json.string('location'), insecure: json.raw['insecure'] === true, pulls };
}

async function configurationFiles(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const given = environment['CONTAINERS_REGISTRIES_CONF'];
  if (given) return [given];
  const home = environment['XDG_CONFIG_HOME'] || join(environment['HOME'] || homedir(), '.config');
  const user = join(home, 'containers/registries.conf');
  const system = '/etc/containers/registries.conf';
  const isUser = await readFile(user).then(
    () => true,
    () => false,
  );
  return [
    isUser ? user : system,
    ...(await partsIn(`${system}.d`)),
    ...(await partsIn(`${user}.d`)),
  ];
}

async function partsIn(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .filter((name) => name.endsWith('.conf'))
    .sort()
    .map((name) => join(directory, name));
}

async function readToml(path: string): Promise<JsonObject | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') return undefined;
    throw new OciError('OCI_BAD_CONFIGURATION', `Cannot read ${path}: ${code}`, { cause });
  }
  const { parse } = await import('smol-toml');
  try {
    return new JsonObject(parse(text), { what: path, code: 'OCI_BAD_CONFIGURATION' });
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : '';
    throw new OciError('OCI_BAD_CONFIGURATION', `Cannot read ${path}: ${why}`, { cause });
  }
}
