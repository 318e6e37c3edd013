import { viewOf } from '@anole/bytes';
import { askNetlink } from '@anole/host/native';
import { type Diagnosis, explainDiagnosis } from '../clc/diagnosis.ts';
import {
  AF_SMC,
  Attribute,
  DIAG_BY_FAMILY,
  DIAG_PROTOCOL,
  DiagFallback,
  DiagMessage,
  DiagMode,
  DiagRequest,
  FALLBACK_ATTRIBUTE,
} from '../layout/diag.ts';

/** A socket of SMC as the kernel tells of it. */
export interface KernelSocket {
  /** Of its descriptor. */
  readonly inode: bigint;
  readonly mode: 'smc-r' | 'smc-d' | 'tcp';
  /** Why it went over TCP. */
  readonly reason?: Diagnosis;
}

const PEER_DECLINED = 0x05000000;

/** @param bytes a message of the kernel's, without netlink's header; undefined where it is cut short */
export function parseKernelSocket(bytes: Uint8Array): KernelSocket | undefined {
  if (bytes.length < DiagMessage.size) return undefined;
  const view = viewOf(bytes);
  const { inode, mode } = DiagMessage.at(view);
  if (mode !== DiagMode.tcp) return { inode, mode: mode === DiagMode.smcD ? 'smc-d' : 'smc-r' };
  const fallback = attributeOf(view, FALLBACK_ATTRIBUTE, DiagFallback.size);
  if (fallback === undefined) return { inode, mode: 'tcp' };
  const { reason, peerDiagnosis } = DiagFallback.at(view, fallback);
  // What the peer said tells more than that it declined.
  const code = reason === PEER_DECLINED && peerDiagnosis !== 0 ? peerDiagnosis : reason;
  return { inode, mode: 'tcp', reason: explainDiagnosis(code) };
}

/** Where the contents of an attribute begin, of at least `size` bytes. */
function attributeOf(view: DataView, wanted: number, size: number): number | undefined {
  for (let at = DiagMessage.size; at + Attribute.size <= view.byteLength; ) {
    const { length, type } = Attribute.at(view, at);
    if (length < Attribute.size || at + length > view.byteLength) return undefined;
    if (type === wanted) return length - Attribute.size >= size ? at + Attribute.size : undefined;
    at += Math.ceil(length / 4) * 4;
  }
  return undefined;
}

/**
 * All sockets of SMC that the kernel has in this network namespace, as `smcss -a` lists them; by inode.
 *
 * @throws HostError where the kernel does not tell: it has no `smc_diag`
 */
export function kernelSockets(): ReadonlyMap<bigint, KernelSocket> {
  const all = 0xff;
  const body = DiagRequest.encode({ family: AF_SMC, extensions: all, id: new Uint8Array(48) });
  const answer = askNetlink({ protocol: DIAG_PROTOCOL, type: DIAG_BY_FAMILY, body, dump: true });
  const sockets = answer.flatMap((each) => parseKernelSocket(each) ?? []);
  return new Map(sockets.map((each) => [each.inode, each]));
}
