import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type ContainerdCode =
  /** A message that is no protocol buffer, or a call that is no gRPC. */
  | 'CONTAINERD_BAD_MESSAGE'
  /** A request that makes no sense: an empty key, a filter that cannot be read. */
  | 'CONTAINERD_BAD_REQUEST'
  /** A call failed at the other end. `details.status` is gRPC's. */
  | 'CONTAINERD_CALL'
  /** A snapshot of this name is there already, or need not be made. */
  | 'CONTAINERD_EXISTS'
  /** A snapshot that others stand on, or that is of the wrong kind for what is asked. */
  | 'CONTAINERD_IN_USE'
  | 'CONTAINERD_NOT_FOUND'
  /** Over a bound of this end: a message of more than 16 MiB. */
  | 'CONTAINERD_TOO_LARGE'
  /** Nobody answers on the socket. */
  | 'CONTAINERD_UNAVAILABLE'
  /** A method that this end does not have. */
  | 'CONTAINERD_UNKNOWN_METHOD';

/** Raised by the snapshotter and by what speaks to containerd. */
export class ContainerdError extends AnoleError {
  declare readonly code: ContainerdCode;
  // Narrows the code's type.
  constructor(code: ContainerdCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}
