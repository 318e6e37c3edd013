/** Why a connection goes on over TCP. */
export interface Diagnosis {
  /** As the standard and Linux number it. */
  readonly code: number;
  readonly reason: string;
  /** What can be done about it, where something can. */
  readonly hint?: string;
}

/**
 * What a number in a Decline message means.
 *
 * Sources: RFC 7609 appendix A.2.4; Linux net/smc/smc_clc.h, SMC_CLC_DECL_*.
 */
export function explainDiagnosis(code: number): Diagnosis {
  const [reason, hint] = diagnoses.get(code) ?? ['a reason that is not in the standard'];
  return { code, reason, ...(hint !== undefined && { hint }) };
}

const memoryHint = 'free memory on that host, or make its buffers smaller (smc_rmem, smc_wmem)';
const deviceHint = 'look for devices with smcr device or smcd device, and for their PNET IDs';
const versionHint = 'both ends must offer a common version and release';
const eidHint = 'give both ends a common enterprise identifier (smcd ueid add)';
const retryHint = 'the next connection may do better; if none does, capture one';

const diagnoses = new Map<number, readonly [reason: string, hint?: string]>([
  [0x01010000, ['that end is out of memory', memoryHint]],
  [0x02010000, ['the first link was not confirmed in time', retryHint]],
  [0x02020000, ['the second link was not added in time', retryHint]],
  [0x03000000, ['configuration', 'look at the set-up of that end']],
  [0x03010000, ['the peer does not speak SMC', 'load the smc module there, or use smc_run']],
  [0x03020000, ['the connection is protected by IPsec']],
  [0x03030000, ['no device for SMC-R or SMC-D was found', deviceHint]],
  [0x03030001, ['no device for SMC-D was found', deviceHint]],
  [0x03030002, ['no device for SMC-R was found', deviceHint]],
  [0x03030003, ['no device for SMC-Dv2 was found', deviceHint]],
  [0x03030004, ['the proposal has no part for version 2', versionHint]],
  [0x03030005, ['the proposal has no part for SMC-Dv2', versionHint]],
  [0x03030006, ['the ends do not share a system EID', eidHint]],
  [0x03030007, ['no common device for SMC-Dv2 was found', deviceHint]],
  [0x03030008, ['the ends do not share an enterprise identifier', eidHint]],
  [0x03030009, ['the ends do not share a release', versionHint]],
  [0x0303000a, ['the ends do not agree on connections of a link group', versionHint]],
  [0x0303000b, ['the ends do not agree on links of a link group', versionHint]],
  [0x03040000, ['the ends chose different modes, SMC-R and SMC-D', versionHint]],
  [0x03050000, ['the peer wants eyecatchers in its buffers']],
  [0x03060000, ['TCP fast open was asked for', 'do without it for this connection']],
  [0x03070000, ['the ends are not in one subnet', 'SMC-R version 1 needs one; version 2 does not']],
  [0x03080000, ['looking up the VLAN failed']],
  [0x03090000, ['registering the VLAN failed']],
  [0x030a0000, ['no link is active']],
  [0x030b0000, ['a new link of the server could not be found']],
  [0x030c0000, ['the ends do not share a version', versionHint]],
  [0x030d0000, ['that end has as many buffers as its device gives', 'close connections there']],
  [0x030e0000, ['no route to the peer for RoCE', 'check addresses and routes of the RoCE devices']],
  [0x030f0000, ['the peer is behind a router that RoCE here does not pass']],
  [0x04000000, ['the link groups of both ends are out of step', retryHint]],
  [0x05000000, ['the peer declined']],
  [0x09990000, ['an internal error']],
  [0x09990001, ['an internal error: the queue pair could not be made ready to receive']],
  [0x09990002, ['an internal error: the queue pair could not be made ready to send']],
  [0x09990003, ['an internal error: the link could not be set up']],
  [0x09990004, ['an internal error: memory could not be registered']],
]);
