import type { Socket } from 'node:net';
import type { ClcAcceptR } from '../clc/types.ts';
import { SmcError } from '../errors.ts';
import { ClcChannel } from './clc-channel.ts';
import type { SmcREndpoint } from './endpoint.ts';
import { tieLeg } from './leg.ts';
import type { Link } from './link.ts';
import {
  acceptOf,
  declineOf,
  elementOf,
  peerAddress,
  proposalOf,
  queuePairOf,
  Reason,
} from './offer.ts';
import { type Outcome, tcpOutcome } from './outcome.ts';

/**
 * Agrees on SMC over a TCP connection that is new, with a server that is known to speak it.
 *
 * @throws SmcError `SMC_LINK_LOST`, `SMC_BAD_CLC`: the TCP connection is of no use then
 */
export async function connectOver(tcp: Socket, endpoint: SmcREndpoint): Promise<Outcome> {
  const { identity, eids } = endpoint;
  const channel = new ClcChannel(tcp);
  channel.send(proposalOf(identity, eids));
  const answer = await channel.receive();
  if (answer?.kind === 'decline') {
    if (answer.isOutOfSync) endpoint.endLinks('client', tcp.remoteAddress);
    return tcpOutcome(tcp, answer.diagnosis);
  }
  const decline = (reason: number) => {
    channel.send(declineOf(identity, reason));
    return tcpOutcome(tcp, reason);
  };
  if (answer === undefined || answer.kind !== 'accept' || answer.path !== 'R') {
    throw new SmcError('SMC_BAD_CLC', 'Cannot agree on SMC: the answer is no Accept of SMC-R');
  }
  if (answer.version < 2 || !eids.includes(answer.eid!)) return decline(Reason.version);
  const address = peerAddress(answer);
  if (!endpoint.believes(tcp, address)) return decline(Reason.noDevice);
  const link = linkFor(answer, address, endpoint);
  if (link === undefined) return decline(Reason.outOfSync);
  return confirm(tcp, { channel, endpoint, answer, link });
}

/** The link that the server means. */
function linkFor(answer: ClcAcceptR, address: string, endpoint: SmcREndpoint): Link | undefined {
  if (answer.isFirstContact) return endpoint.createLink('client', address);
  return endpoint.findLink('client', address, answer.queuePair);
}

interface Stage {
  readonly channel: ClcChannel;
  readonly endpoint: SmcREndpoint;
  readonly answer: ClcAcceptR;
  readonly link: Link;
}

async function confirm(tcp: Socket, { channel, endpoint, answer, link }: Stage): Promise<Outcome> {
  const { identity, ringSize } = endpoint;
  const { isFirstContact, eid = '' } = answer;
  const socket = link.createSocket(ringSize);
  try {
    const confirmation = acceptOf('confirm', identity, { link, socket, eid, isFirstContact });
    if (isFirstContact) {
      const confirmed = link.confirm(queuePairOf(answer, identity));
      channel.send(confirmation);
      await confirmed;
    } else {
      await link.confirmKey(socket);
      channel.send(confirmation);
    }
    socket.open(elementOf(answer));
    tieLeg(tcp, socket);
    return { transport: 'smc-r', socket };
  } catch (error) {
    socket.abandon();
    if (isFirstContact) link.end(error as Error);
    throw error;
  }
}
