import { formatIpv4, type Ipv4 } from '../address.ts';
import type { NetworkEvent } from '../events.ts';
import * as D from '../layout/dns.ts';
import type { Outside } from '../outside.ts';
import type { Policy } from '../policy/policy.ts';
import type { Lookups } from './lookups.ts';
import { type Query, readAddresses, readQuestion, writeQuery, writeResponse } from './message.ts';

/** Queries under way at once; more are refused. */
const maxQueries = 128;
const code = D.ResponseCode;

/** The name by which a guest reaches the host's loopback, where that is allowed. */
export const hostName = 'host.anole.internal';

export interface DnsOptions {
  readonly outside: Outside;
  readonly policy: Policy;
  readonly lookups: Lookups;
  /** Address of the stack that stands for the host's loopback. */
  readonly gateway: Ipv4;
  readonly onEvent: (event: NetworkEvent) => void;
}

/**
 * Answers the guest's queries: by the policy, and by the host's name servers for what it allows. What
 * their answers say of addresses is kept, for the policy's second look.
 */
export class DnsService {
  readonly #options: DnsOptions;
  #running = 0;

  constructor(options: DnsOptions) {
    this.#options = options;
  }

  /** The response to a message; undefined for one that deserves none. Never rejects. */
  async answer(message: Uint8Array): Promise<Uint8Array | undefined> {
    let query: Query;
    try {
      query = readQuestion(message);
    } catch {
      return undefined;
    }
    if ((query.flags & D.RESPONSE) !== 0) return undefined;
    const respond = (code: number) => writeResponse(message, query, code);
    if ((query.flags & D.OPCODE) !== 0 || query.class !== D.CLASS_IN) {
      return respond(code.notImplemented);
    }
    if (query.name.includes('?')) return respond(code.nameError);
    const local = this.#localAnswer(message, query);
    if (local !== undefined) return local;
    const verdict = this.#options.policy.checkName(query.name);
    if (!verdict.allowed) {
      this.#report(query, verdict.reason);
      return respond(code.refused);
    }
    // The guest has no IPv6: such an address would only mislead it.
    if (query.type === D.TYPE_AAAA) return respond(code.ok);
    if (this.#running >= maxQueries) return respond(code.refused);
    this.#running++;
    try {
      return await this.#forward(message, query);
    } catch {
      return respond(code.serverFailure);
    } finally {
      this.#running--;
    }
  }

  /** What the stack knows itself, and what must not leave the host (RFC 6761, 6.3). */
  #localAnswer(message: Uint8Array, query: Query): Uint8Array | undefined {
    const { name, type } = query;
    const own = name === hostName ? this.#options.gateway : undefined;
    const loopback = name === 'localhost' || name.endsWith('.localhost') ? 0x7f000001 : undefined;
    const address = own ?? loopback;
    if (address !== undefined) {
      const records = type === D.TYPE_A ? [{ address, ttl: 60 }] : [];
      return writeResponse(message, query, code.ok, records);
    }
    const internal = name.endsWith('.internal') || name.endsWith('.in-addr.arpa');
    return internal && type === D.TYPE_PTR
      ? writeResponse(message, query, code.nameError)
      : undefined;
  }

  async #forward(message: Uint8Array, query: Query): Promise<Uint8Array> {
    const { outside, policy, lookups } = this.#options;
    // Made anew: nothing of the guest's but a name and a type leaves the host.
    const response = await outside.query(writeQuery(query.id, query.name, query.type));
    const answered = readQuestion(response);
    if (!isResponseTo(query, answered)) return writeResponse(message, query, code.serverFailure);
    const records = readAddresses(response);
    const closed = records.find(
      ({ address }) => !policy.checkAnswer(address, outside.isOwn(address)),
    );
    if (closed !== undefined) {
      // A public name for a private address: rebinding, or a zone of a network that is not open.
      this.#report(query, `its address ${formatIpv4(closed.address)} is closed`);
      return writeResponse(message, query, code.refused);
    }
    lookups.remember(query.name, records);
    // Some look whether the name comes back letter by letter as they sent it.
    response.set(message.subarray(D.DnsHeader.size, query.end), D.DnsHeader.size);
    return response;
  }

  #report({ name }: Query, reason: string): void {
    this.#options.onEvent({ type: 'lookup', name, allowed: false, reason });
  }
}

function isResponseTo({ id, name, type, end }: Query, response: Query): boolean {
  const same = response.id === id && response.name === name && response.type === type;
  return same && response.end === end && (response.flags & D.RESPONSE) !== 0;
}
