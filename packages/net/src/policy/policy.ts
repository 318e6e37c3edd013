import { formatIpv4, type Ipv4, inRange, isWithin } from '../address.ts';
import { privateRangeOf } from './private-ranges.ts';
import { coversName, coversPort, type Protocol, parseRule, type Rule } from './rule.ts';

export interface PolicyOptions {
  /** Whether the public Internet is open but for `deny`. Default false. */
  readonly public?: boolean;
  /** Rules as {@link parseRule} takes them. */
  readonly allow?: readonly string[];
  /** What stays closed whatever allows it. */
  readonly deny?: readonly string[];
}

export interface Verdict {
  readonly allowed: boolean;
  /** What decided, for people: `denied by the rule *.example.org`. */
  readonly reason: string;
}

/** What is asked for a connection or a datagram. */
export interface Destination {
  readonly protocol: Protocol;
  readonly address: Ipv4;
  readonly port: number;
  /** Names that the guest looked up and that led here. */
  readonly names: readonly string[];
}

/**
 * Decides what a guest reaches. Names are judged when they are looked up, and again, with the address,
 * when something is sent: an address is as good as the names it was given for, and no better.
 *
 * - What a `deny` rule covers is closed.
 * - Addresses that are not public are open only to an `allow` rule for a range that lies wholly inside
 *   theirs: no name leads to them, and neither does `*` or `0.0.0.0/0`. The host's own addresses, but for
 *   loopback, are open only to a rule for just the address: it may lie in a range by chance.
 * - Everything else is open to an `allow` rule, or where `public` is.
 * - With a `deny` rule for a name, public addresses are open only as answers to a lookup, so that
 *   nobody goes around the rule with the address; `allow` rules for ranges stand.
 */
export class Policy {
  readonly #public: boolean;
  readonly #allow: readonly Rule[];
  readonly #deny: readonly Rule[];
  readonly #needsLookup: boolean;

  /** @throws NetError `NET_BAD_RULE` */
  constructor({ allow = [], deny = [], public: open = false }: PolicyOptions = {}) {
    this.#public = open;
    this.#allow = allow.map(parseRule);
    this.#deny = deny.map(parseRule);
    this.#needsLookup = this.#deny.some(({ target }) => target.kind === 'name');
  }

  /** Whether a name may be looked up. It is in lower case and without a dot at its end. */
  checkName(name: string): Verdict {
    // A rule for some ports only does not close the name: the connection is judged again.
    const denying = this.#deny.find(
      (rule) => rule.ports.length === 0 && rule.protocol === undefined && coversName(rule, name),
    );
    if (denying !== undefined) return denied(denying);
    const allowing = this.#allow.find((rule) => coversName(rule, name));
    if (allowing !== undefined) return allowed(allowing);
    return this.#public ? openToAll : closedToAll;
  }

  /** Whether an address may be told as an answer: no port is known yet. */
  checkAnswer(address: Ipv4, isOwn: boolean): boolean {
    if (this.#deny.some((rule) => coversAllOf(rule, address))) return false;
    if (!isOwn && privateRangeOf(address) === undefined) return true;
    return this.#allow.some((rule) => opensPrivate(rule, address, isOwn));
  }

  /** Whether something may be sent to an address. */
  check(to: Destination, isOwn: boolean): Verdict {
    const { address, protocol, port, names } = to;
    const applies = (rule: Rule) => coversPort(rule, protocol, port);
    const byName = (rule: Rule) => names.some((name) => coversName(rule, name));
    const denying = this.#deny.find(
      (rule) => applies(rule) && (coversAddress(rule, address) || byName(rule)),
    );
    if (denying !== undefined) return denied(denying);
    if (isOwn || privateRangeOf(address) !== undefined) {
      const opening = this.#allow.find(
        (rule) => applies(rule) && opensPrivate(rule, address, isOwn),
      );
      return opening === undefined ? closedPrivate(address, isOwn) : allowed(opening);
    }
    const allowing = this.#allow.find(
      (rule) => applies(rule) && (coversAddress(rule, address) || byName(rule)),
    );
    if (allowing !== undefined) return allowed(allowing);
    if (!this.#public) return closedToAll;
    return this.#needsLookup && names.length === 0 ? closedWithoutLookup : openToAll;
  }
}

const openToAll: Verdict = { allowed: true, reason: 'the public Internet is open' };
const closedToAll: Verdict = { allowed: false, reason: 'no rule allows it' };
const closedWithoutLookup: Verdict = {
  allowed: false,
  reason: 'a rule denies names, and no name that was looked up led here',
};

function allowed({ text }: Rule): Verdict {
  return { allowed: true, reason: `allowed by the rule ${text}` };
}

function denied({ text }: Rule): Verdict {
  return { allowed: false, reason: `denied by the rule ${text}` };
}

function closedPrivate(address: Ipv4, isOwn: boolean): Verdict {
  const what = isOwn ? 'one of the host’s addresses' : 'not a public address';
  return { allowed: false, reason: `${formatIpv4(address)} is ${what}, and no rule names it` };
}

function coversAddress({ target }: Rule, address: Ipv4): boolean {
  if (target.kind === 'any') return true;
  return target.kind === 'range' && inRange(address, target.range);
}

function coversAllOf(rule: Rule, address: Ipv4): boolean {
  return rule.ports.length === 0 && rule.protocol === undefined && coversAddress(rule, address);
}

/** Whether a rule means an address that is not public, or the host's: see {@link Policy}. */
function opensPrivate({ target }: Rule, address: Ipv4, isOwn: boolean): boolean {
  if (target.kind !== 'range' || !inRange(address, target.range)) return false;
  const kind = privateRangeOf(address);
  const alone = isOwn && kind !== loopback;
  return alone || kind === undefined ? target.range.prefix === 32 : isWithin(target.range, kind);
}

const loopback = privateRangeOf(0x7f000001);
