import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AnoleError } from '@anole/bytes';
import { writeClc } from '@anole/smc';
import { SmcREndpoint } from '../../packages/smc/src/r/endpoint.ts';
import { makeIdentity } from '../../packages/smc/src/r/identity.ts';
import { acceptOf, declineOf, proposalOf, Reason } from '../../packages/smc/src/r/offer.ts';
import type { RocePort } from '../../packages/smc/src/roce/port.ts';
import type { Target } from './targets.ts';

const eid = 'LIZARDS';
const peer = '10.0.0.2';

/** An end whose packets nobody gets: the handshake over TCP is all there is. */
function endpointAt(address: string): SmcREndpoint {
  const port: RocePort = { address, onPacket: () => {}, send() {}, close: async () => {} };
  const identity = makeIdentity(address, Uint8Array.of(2, 0, 0, 0, 0, 1), 1500);
  return new SmcREndpoint(port, identity, { address, eids: [eid], ringSize: 16384 });
}

/** What a sound peer says, as a client and as a server. */
function conversations(): ReadonlyMap<string, Uint8Array> {
  const endpoint = endpointAt(peer);
  const { identity } = endpoint;
  const link = endpoint.createLink('server', '10.0.0.1');
  const socket = link.createSocket(16384);
  const agreed = (kind: 'accept' | 'confirm', isFirstContact: boolean) =>
    writeClc(acceptOf(kind, identity, { link, socket, eid, isFirstContact }));
  const proposal = writeClc(proposalOf(identity, ['OTHER', eid]));
  const decline = writeClc(declineOf(identity, Reason.outOfSync));
  const all = {
    client: [proposal, agreed('confirm', true)],
    declining: [proposal, decline],
    server: [agreed('accept', true), Buffer.from('more')],
    knownLink: [agreed('accept', false)],
    refusing: [decline, Buffer.from('plain')],
    other: [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  };
  link.end(new AnoleError('TEST_OVER', 'Made for its messages only'));
  return new Map(
    Object.entries(all).map(([name, parts]) => [name, new Uint8Array(Buffer.concat(parts))]),
  );
}

/** The handshake of SMC-R over TCP (CLC) as client and as server, and whatever the other end says. */
export const smcHandshake: Target = {
  name: 'smc-handshake',
  seeds: conversations(),
  async run(bytes) {
    const kinds = new Set<string>();
    for (const role of ['connectOver', 'acceptOver'] as const) {
      const endpoint = endpointAt('10.0.0.1');
      const tcp = new Duplex({ read() {}, write: (_, __, done) => done() });
      Object.assign(tcp, { remoteAddress: peer });
      const outcome = endpoint[role](tcp as Socket).then(
        (agreed) => kinds.add(`${role} ${agreed.transport}`),
        (error) => {
          if (!AnoleError.is(error)) throw error;
          kinds.add(`${role} ${error.code}`);
        },
      );
      outcome.catch(() => {});
      tcp.push(bytes);
      tcp.push(null);
      await nextTurn();
      for (const { link } of endpoint.links) {
        kinds.add(`${role} has a link`);
        link.end(new AnoleError('TEST_OVER', 'The test is over'));
      }
      await outcome;
      tcp.destroy();
    }
    return kinds;
  },
};
