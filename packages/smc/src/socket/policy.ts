import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { basename } from 'node:path';
import { SmcError } from '../errors.ts';
import { addressWords } from './address.ts';

/**
 * `prefer`: shared memory where it can be had, and connections to the port have not been too short for
 * it. `always`: also where they have. `require`: a connection that cannot have it is an error.
 */
export type Mode = 'off' | 'prefer' | 'always' | 'require';

/** A rule applies where all that it names fits. */
export interface Rule {
  readonly mode: Mode;
  /** Of the server, or a network that it is in: `"10.1.2.3"`, `"10.0.0.0/8"`, `"::1"`. */
  readonly address?: string;
  /** Of the server: `6379`, `"8000-8099"`. */
  readonly port?: number | string;
  /** Name of the program's main file, without its directory and ending. */
  readonly process?: string;
}

/** What the file named by `ANOLE_SMC_POLICY` contains, as JSON. */
export interface Policy {
  /** Where no rule fits. Default `prefer`. */
  readonly default?: Mode;
  /** Connections stay on TCP, with a reason that says they would not. */
  readonly dryRun?: boolean;
  /**
   * Servers, and connections that cannot have shared memory of ours, use sockets of SMC that the kernel has
   * (AF_SMC), where it has them. Default false.
   */
  readonly kernel?: boolean;
  /** The first that fits applies. */
  readonly rules?: readonly Rule[];
}

const modes: ReadonlySet<unknown> = new Set<Mode>(['off', 'prefer', 'always', 'require']);
/** Milliseconds after which a file is looked at again. */
const FRESH = 500;

/** @throws SmcError `SMC_BAD_POLICY` */
export function parsePolicy(text: string): Policy {
  const bad = (what: string) => new SmcError('SMC_BAD_POLICY', `Cannot read the policy: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(cause instanceof Error ? cause.message : 'it is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw bad('it is not an object');
  const { default: mode = 'prefer', dryRun = false, kernel = false, rules = [] } = value as Policy;
  if (!modes.has(mode))
    throw bad(`default is ${JSON.stringify(mode)}, not off, prefer, always or require`);
  if (typeof dryRun !== 'boolean') throw bad('dryRun is neither true nor false');
  if (typeof kernel !== 'boolean') throw bad('kernel is neither true nor false');
  if (!Array.isArray(rules)) throw bad('rules is no list');
  rules.forEach((rule: Rule, at) => {
    if (!modes.has(rule?.mode))
      throw bad(`rule ${at + 1} has no mode off, prefer, always or require`);
    if (rule.port !== undefined && portsOf(rule.port) === undefined) {
      throw bad(`rule ${at + 1} has port ${JSON.stringify(rule.port)}`);
    }
    if (rule.address !== undefined && networkOf(rule.address) === undefined) {
      throw bad(`rule ${at + 1} has address ${JSON.stringify(rule.address)}`);
    }
  });
  return { default: mode, dryRun, kernel, rules };
}

/**
 * The policy that a file has.
 *
 * @throws SmcError `SMC_BAD_POLICY`, also where the file cannot be read
 */
export function readPolicy(file: string): Policy {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SmcError('SMC_BAD_POLICY', `Cannot read the policy: ${why}`, { cause });
  }
  return parsePolicy(text);
}

function portsOf(port: number | string): readonly [first: number, last: number] | undefined {
  const parts = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(port));
  if (parts === null) return undefined;
  return [Number(parts[1]), Number(parts[2] ?? parts[1])];
}

interface Network {
  readonly words: readonly number[];
  /** Of 128 bits, since IPv4 is mapped into IPv6. */
  readonly prefix: number;
}

function networkOf(text: unknown): Network | undefined {
  const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(String(text)) ?? [];
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const given = Number(length ?? bits);
  if (version === 0 || given > bits) return undefined;
  return { words: addressWords(address), prefix: 128 - bits + given };
}

function isWithin(address: string, { words, prefix }: Network): boolean {
  return addressWords(address).every((word, at) => {
    const bits = Math.min(Math.max(prefix - 32 * at, 0), 32);
    return bits === 0 || (word ^ words[at]!) >>> (32 - bits) === 0;
  });
}

/** A connection that a client is about to make. */
export interface Destination {
  /** IP address of the server. */
  readonly address: string;
  readonly port: number;
  /** Of the client, as rules name it. */
  readonly process: string;
}

/** What a policy says of a connection. */
export function modeFor(policy: Policy, { address, port, process }: Destination): Mode {
  const rule = policy.rules?.find((each) => {
    if (each.process !== undefined && each.process !== process) return false;
    if (each.address !== undefined && !isWithin(address, networkOf(each.address)!)) return false;
    if (each.port === undefined) return true;
    const [first, last] = portsOf(each.port)!;
    return port >= first && port <= last;
  });
  return rule?.mode ?? policy.default ?? 'prefer';
}

/** Of this process, as rules name it. */
export const processName = (): string => basename(process.argv[1] ?? 'node').replace(/\.\w+$/, '');

const unset: Policy = {};
let current = unset;
let lookedAt = 0;
let version = '';

/**
 * The policy of this process, as its file now is. One that cannot be read leaves what was before in
 * force, and warns.
 */
export function currentPolicy(): Policy {
  const file = process.env['ANOLE_SMC_POLICY'];
  const now = Date.now();
  if (file === undefined) return unset;
  if (now - lookedAt < FRESH) return current;
  lookedAt = now;
  try {
    const { mtimeMs, ino, size } = statSync(file);
    const found = `${mtimeMs} ${ino} ${size}`;
    if (found === version) return current;
    version = found;
    current = readPolicy(file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (version !== why) process.emitWarning(why, { code: 'SMC_BAD_POLICY' });
    version = why;
  }
  return current;
}
