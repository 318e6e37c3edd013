import type { CdcMessage } from '../cdc/message.ts';
import { explainDiagnosis } from '../clc/diagnosis.ts';
import type { ClcAccept, ClcMessage, ClcProposal } from '../clc/types.ts';
import { Opcode } from '../layout/roce.ts';
import type { LlcMessage } from '../llc/message.ts';
import { explainDeletion } from '../llc/reasons.ts';
import type { RocePacket } from '../roce/packet.ts';
import { ipv6Text } from './frame.ts';

type Message = ClcMessage | LlcMessage | CdcMessage | RocePacket;

/** A message in one line, in the words of the standard. */
export function describe(message: Message): string {
  if ('opcode' in message) return describeRoce(message);
  switch (message.kind) {
    case 'proposal':
      return describeProposal(message);
    case 'accept':
    case 'confirm':
      return describeAccept(message);
    case 'decline': {
      const { reason, hint } = explainDiagnosis(message.diagnosis);
      const advice = hint === undefined ? '' : ` (${hint})`;
      return `Decline ${hex(message.diagnosis)}: ${reason}${advice}`;
    }
    case 'cdc':
      return describeCdc(message);
    default:
      return `${llcName(message)}${describeLlc(message)}`;
  }
}

function describeProposal({ version, offerV1, offerV2, v2 }: ClcProposal): string {
  const offers = [
    ...(offerV1 === 'none' ? [] : [`v1 ${pathText(offerV1)}`]),
    ...(offerV2 === 'none' ? [] : [`v2.${v2?.release ?? 0} ${pathText(offerV2)}`]),
  ];
  const eids = v2 === undefined || v2.eids.length === 0 ? '' : `, EID ${v2.eids.join(' ')}`;
  return `Proposal version ${version}: ${offers.join(', ') || 'nothing'}${eids}`;
}

const pathText = (offer: string): string => (offer === 'both' ? 'SMC-R or SMC-D' : `SMC-${offer}`);

function describeAccept(message: ClcAccept): string {
  const { kind, path, version, isFirstContact, sizeExponent, eid } = message;
  const buffer = `buffer of ${16 << sizeExponent} KiB`;
  const place =
    path === 'R'
      ? `QP ${message.queuePair}, rkey ${hex(message.rkey)}, token ${message.alertToken}`
      : `GID ${hex(message.gid)}, token ${hex(message.token)}`;
  const contact = isFirstContact ? 'first contact' : 'in a known link group';
  const name = kind === 'accept' ? 'Accept' : 'Confirm';
  const identity = eid === undefined ? '' : `, EID ${eid}`;
  return `${name} SMC-${path} version ${version}, ${contact}: ${place}, ${buffer}${identity}`;
}

function llcName({ kind, isResponse, version }: LlcMessage): string {
  const name = kind.replaceAll('-', ' ').toUpperCase();
  return `${name} ${isResponse ? 'response' : 'request'}${version > 1 ? ' v2' : ''}`;
}

function describeLlc(message: LlcMessage): string {
  switch (message.kind) {
    case 'confirm-link':
      return `: link ${message.linkNumber} of at most ${message.maxLinks}, QP ${message.queuePair} at ${ipv6Text(message.gid)}`;
    case 'add-link': {
      const isRejected = message.isResponse && (message.flags & 0x40) !== 0;
      return `: link ${message.linkNumber}, QP ${message.queuePair}${isRejected ? ', rejected' : ''}`;
    }
    case 'add-link-continue':
      return `: link ${message.linkNumber}, ${message.keysLeft} keys left`;
    case 'delete-link': {
      const which = message.flags & 0x40 ? 'all links' : `link ${message.linkNumber}`;
      return `: ${which}, ${explainDeletion(message.reason)}`;
    }
    case 'request-add-link':
      return message.gids.length === 0 ? '' : `: ${message.gids.map(ipv6Text).join(' ')}`;
    case 'confirm-rkey':
    case 'confirm-rkey-continue':
      return `: rkey ${hex(message.keys[0]!.rkey)}`;
    case 'delete-rkey':
      return message.isResponse ? '' : `: rkey ${message.rkeys.map(hex).join(' ')}`;
    case 'test-link':
      return '';
  }
}

function describeCdc({ sequence, token, producer, consumer, ...flags }: CdcMessage): string {
  const names = [...flags.producerFlags, ...flags.connectionFlags].map(flagText);
  const more = names.length === 0 ? '' : `, ${names.join(', ')}`;
  return `message ${sequence} for token ${token}: wrote to ${at(producer)}, read to ${at(consumer)}${more}`;
}

const at = ({ wrap, count }: { readonly wrap: number; readonly count: number }): string =>
  wrap === 0 ? String(count) : `${count} (round ${wrap})`;

const flagText = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function describeRoce({ opcode, queuePair, sequence, write, acknowledge, payload }: RocePacket) {
  if (acknowledge !== undefined) {
    const { syndrome } = acknowledge;
    const kinds = ['ACK', 'RNR NAK (receiver not ready)', 'reserved', 'NAK'];
    return `${kinds[(syndrome >>> 5) & 3]} of ${sequence} to QP ${queuePair}`;
  }
  if (write !== undefined) {
    return `WRITE ${write.length} bytes to rkey ${hex(write.rkey)} at ${hex(write.address)}`;
  }
  const isSend = opcode <= Opcode.sendOnly;
  return `${isSend ? 'SEND' : 'WRITE'} goes on: ${payload.length} bytes to QP ${queuePair}`;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16).padStart(typeof value === 'number' ? 8 : 16, '0')}`;
}
