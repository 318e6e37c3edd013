/**
 * SMC-R between hosts: sockets over RoCE v2, in this process, towards Linux's own SMC or another anole.
 *
 * @example
 * import { SmcREndpoint } from '@anole/smc/r';
 * await using endpoint = await SmcREndpoint.open({ address: '10.0.0.1', eids: ['LIZARDS'] });
 */

export { SmcREndpoint, type SmcROptions } from './r/endpoint.ts';
export { SmcRHost, type SmcRHostOptions } from './r/host.ts';
export type { Outcome } from './r/outcome.ts';
export type { SmcRSocket } from './r/socket.ts';
