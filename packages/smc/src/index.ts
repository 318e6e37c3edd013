/**
 * Shared Memory Communications: the messages of the protocol, and captures of it explained.
 *
 * @example
 * import { fileSource } from '@anole/host';
 * import { SmcCapture } from '@anole/smc';
 * using source = fileSource('capture.pcap');
 * const capture = new SmcCapture(source);
 * for await (const { packet, summary } of capture.messages()) console.log(packet, summary);
 */
export type { CapturedConnection } from './capture/connections.ts';
export { type DecodedMessage, SmcCapture } from './capture/decode.ts';
export { describe } from './capture/describe.ts';
export { type CdcCursor, type CdcMessage, parseCdc, writeCdc } from './cdc/message.ts';
export { type Diagnosis, explainDiagnosis } from './clc/diagnosis.ts';
export { clcLength, parseClc, writeClc } from './clc/message.ts';
export type * from './clc/types.ts';
export { type SmcCode, SmcError } from './errors.ts';
export type * from './llc/kinds.ts';
export { type LlcMessage, parseLlc, writeLlc } from './llc/message.ts';
export { explainDeletion } from './llc/reasons.ts';
export { preloadOptions } from './preload.ts';
export { prometheusText, type Report, type ReportedConnection, smcReports } from './reports.ts';
export { icrcOf, parseRoce, type RocePacket } from './roce/packet.ts';
export {
  type Destination,
  type Mode,
  modeFor,
  type Policy,
  parsePolicy,
  type Rule,
  readPolicy,
} from './socket/policy.ts';
