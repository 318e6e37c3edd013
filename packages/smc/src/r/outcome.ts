import type { Socket } from 'node:net';
import { type Diagnosis, explainDiagnosis } from '../clc/diagnosis.ts';
import type { SmcRSocket } from './socket.ts';

/** What became of a connection: bytes go over RoCE, or over TCP for a reason. */
export type Outcome =
  | { readonly transport: 'smc-r'; readonly socket: SmcRSocket }
  | { readonly transport: 'tcp'; readonly socket: Socket; readonly reason: Diagnosis };

export const tcpOutcome = (socket: Socket, code: number): Outcome => ({
  transport: 'tcp',
  socket,
  reason: explainDiagnosis(code),
});
