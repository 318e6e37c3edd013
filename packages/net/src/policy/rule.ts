import { type Ipv4Range, parseIpv4Range } from '../address.ts';
import { NetError } from '../errors.ts';

export type Protocol = 'tcp' | 'udp';

/** What a rule speaks of. */
export interface Rule {
  /** As the user wrote it. */
  readonly text: string;
  readonly target:
    | { readonly kind: 'range'; readonly range: Ipv4Range }
    /** Lower case, in its ASCII form. With `subdomains`, the names below it and not itself. */
    | { readonly kind: 'name'; readonly name: string; readonly subdomains: boolean }
    | { readonly kind: 'any' };
  /** First and last port of each range. Empty: all. */
  readonly ports: readonly (readonly [number, number])[];
  readonly protocol?: Protocol;
}

/**
 * Parses `HOST[:PORTS][/tcp|/udp]`. HOST is a name, `*.name` for the names below it, an address, a range
 * in CIDR notation, or `*`. PORTS are numbers and ranges: `80,443,8000-8100`.
 *
 * @throws NetError `NET_BAD_RULE`
 * @example
 * parseRule('*.debian.org:80,443');
 * parseRule('10.0.0.0/8:53/udp');
 */
export function parseRule(text: string): Rule {
  const match = /^([^:\s]+?)(?::([\d,-]+))?(?:\/(tcp|udp))?$/.exec(text.trim());
  if (match === null) {
    if (/:.*:|^\[/.test(text))
      throw badRule(text, 'the network has no IPv6 yet; name hosts or IPv4');
    throw badRule(text, 'give HOST[:PORTS][/tcp|/udp], such as example.org:443 or 10.0.0.0/8');
  }
  const [, host = '', ports, protocol] = match;
  return {
    text,
    target: parseTarget(text, host),
    ports: ports === undefined ? [] : ports.split(',').map((part) => parsePorts(text, part)),
    ...(protocol !== undefined && { protocol: protocol as Protocol }),
  };
}

/** Whether a rule speaks of a port. */
export function coversPort({ ports, protocol }: Rule, to: Protocol, port: number): boolean {
  if (protocol !== undefined && protocol !== to) return false;
  return ports.length === 0 || ports.some(([first, last]) => port >= first && port <= last);
}

/** Whether a rule speaks of a name, which is in lower case and without a dot at its end. */
export function coversName({ target }: Rule, name: string): boolean {
  if (target.kind === 'any') return true;
  if (target.kind === 'range') return false;
  return target.subdomains ? name.endsWith(`.${target.name}`) : name === target.name;
}

function parseTarget(text: string, host: string): Rule['target'] {
  if (host === '*') return { kind: 'any' };
  if (/^[\d.]+(\/\d+)?$/.test(host)) {
    const range = parseIpv4Range(host);
    if (range !== undefined) return { kind: 'range', range };
    throw badRule(text, `${host} is no IPv4 address or range; bits behind the prefix must be 0`);
  }
  const subdomains = host.startsWith('*.');
  const name = asciiName(subdomains ? host.slice(2) : host);
  if (name === undefined) throw badRule(text, `${host} is no name of a host`);
  return { kind: 'name', name, subdomains };
}

/** A host name as it stands in DNS, or undefined for what none can be. */
function asciiName(name: string): string | undefined {
  if (/[/?#@\\%]/.test(name)) return undefined;
  try {
    const { hostname } = new URL(`http://${name.replace(/\.$/, '')}/`);
    return /^(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(hostname) ? hostname : undefined;
  } catch {
    return undefined;
  }
}

function parsePorts(text: string, part: string): readonly [number, number] {
  const [, from, to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
  const first = Number(from);
  const last = to === undefined ? first : Number(to);
  if (first >= 1 && last >= first && last <= 65535) return [first, last];
  throw badRule(text, `${part || 'nothing'} is no port, and no range of ports`);
}

function badRule(text: string, hint: string): NetError {
  return new NetError('NET_BAD_RULE', `Cannot understand the rule ${JSON.stringify(text)}`, {
    hint,
    details: { rule: text },
  });
}
