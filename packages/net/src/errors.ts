import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type NetCode =
  /** A rule of a policy that cannot be understood. */
  | 'NET_BAD_RULE'
  /** A port to publish that cannot be understood. */
  | 'NET_BAD_PORT'
  /** A DNS message that is none; from the guest it is dropped, from a server it fails the query. */
  | 'NET_BAD_DNS';

/** Raised for what users and servers say. What a guest sends is answered or dropped, never an error. */
export class NetError extends AnoleError {
  declare readonly code: NetCode;
  constructor(code: NetCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
