import type { Socket } from 'node:net';
import type { ClcProposal } from '../clc/types.ts';
import { SmcError } from '../errors.ts';
import { ClcChannel } from './clc-channel.ts';
import type { SmcREndpoint } from './endpoint.ts';
import { addressOf } from './identity.ts';
import { tieLeg } from './leg.ts';
import { acceptOf, declineOf, elementOf, queuePairOf, Reason } from './offer.ts';
import { type Outcome, tcpOutcome } from './outcome.ts';

/**
 * Agrees on SMC over a TCP connection that a client has made which says that it speaks it.
 *
 * @throws SmcError `SMC_LINK_LOST`, `SMC_BAD_CLC`: the TCP connection is of no use then
 */
export async function acceptOver(tcp: Socket, endpoint: SmcREndpoint): Promise<Outcome> {
  const channel = new ClcChannel(tcp);
  const proposal = await channel.receive();
  if (proposal === undefined) return tcpOutcome(tcp, Reason.notSmc);
  if (proposal.kind === 'decline') return tcpOutcome(tcp, proposal.diagnosis);
  if (proposal.kind !== 'proposal') {
    throw new SmcError('SMC_BAD_CLC', `Cannot agree on SMC: ${proposal.kind} comes first`);
  }
  const offer = chooseOffer(proposal, tcp, endpoint);
  if (typeof offer === 'number') {
    channel.send(declineOf(endpoint.identity, offer));
    return tcpOutcome(tcp, offer);
  }
  // Of two that come at once the second one uses the link that the first one makes.
  return endpoint.inTurn(offer.address, () => accept(tcp, channel, endpoint, offer));
}

interface Offer {
  readonly address: string;
  readonly eid: string;
}

/** What of a proposal is taken, or the reason why nothing is. */
function chooseOffer(
  { version, offerV2, v2 }: ClcProposal,
  tcp: Socket,
  endpoint: SmcREndpoint,
): Offer | number {
  if (version < 2 || v2 === undefined) return Reason.version;
  if (offerV2 !== 'R' && offerV2 !== 'both') return Reason.noDevice;
  const eid = v2.eids.find((each) => endpoint.eids.includes(each));
  if (eid === undefined) return Reason.noEid;
  const address = addressOf(v2.roceGid);
  if (address === undefined || !endpoint.believes(tcp, address)) return Reason.noDevice;
  return { address, eid };
}

async function accept(
  tcp: Socket,
  channel: ClcChannel,
  endpoint: SmcREndpoint,
  { address, eid }: Offer,
): Promise<Outcome> {
  const { identity } = endpoint;
  const { link, socket, isFirstContact } = await place(endpoint, address);
  try {
    channel.send(acceptOf('accept', identity, { link, socket, eid, isFirstContact }));
    const answer = await channel.receive();
    if (answer?.kind === 'decline') {
      socket.abandon();
      const isOver = isFirstContact || answer.isOutOfSync;
      if (isOver) link.end(new SmcError('SMC_LINK_LOST', 'The peer does not want the link'));
      return tcpOutcome(tcp, answer.diagnosis);
    }
    if (answer?.kind !== 'confirm' || answer.path !== 'R') {
      throw new SmcError('SMC_BAD_CLC', 'Cannot agree on SMC: the answer is no Confirm of SMC-R');
    }
    if (isFirstContact) await link.confirm(queuePairOf(answer, identity));
    socket.open(elementOf(answer));
    tieLeg(tcp, socket);
    return { transport: 'smc-r', socket };
  } catch (error) {
    socket.abandon();
    if (isFirstContact) link.end(error as Error);
    throw error;
  }
}

/** A connection in the link that there is, or in a new one where the peer does not answer over it. */
async function place(endpoint: SmcREndpoint, address: string) {
  for (;;) {
    const known = endpoint.findLink('server', address);
    const link = known ?? endpoint.createLink('server', address);
    const socket = link.createSocket(endpoint.ringSize);
    if (known === undefined) return { link, socket, isFirstContact: true };
    try {
      await link.confirmKey(socket);
      return { link, socket, isFirstContact: false };
    } catch (error) {
      socket.abandon();
      link.end(error as Error);
    }
  }
}
