import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type OciCode =
  /** A registry, a layout or an archive answers what its format does not allow. */
  | 'OCI_BAD_ANSWER'
  /** An image's configuration file of this computer cannot be read. */
  | 'OCI_BAD_CONFIGURATION'
  | 'OCI_BAD_CONFIG'
  | 'OCI_BAD_DIGEST'
  /** A table of contents or checkpoints of a layer cannot be read. */
  | 'OCI_BAD_INDEX'
  | 'OCI_BAD_LAYER'
  | 'OCI_BAD_LAYOUT'
  | 'OCI_BAD_MANIFEST'
  | 'OCI_BAD_PLATFORM'
  | 'OCI_BAD_REFERENCE'
  /** A trace of what a workload reads cannot be understood. */
  | 'OCI_BAD_TRACE'
  /** A credential helper fails. */
  | 'OCI_CREDENTIALS'
  /** The registry knows who asks, and does not let them. */
  | 'OCI_FORBIDDEN'
  | 'OCI_NOT_FOUND'
  /** An index has nothing for the platform that is wanted. */
  | 'OCI_NO_PLATFORM'
  /** A name without a registry, and none is configured. */
  | 'OCI_NO_REGISTRY'
  | 'OCI_RATE_LIMITED'
  /** A redirect that leads nowhere, in a circle, or from https to http. */
  | 'OCI_REDIRECT'
  | 'OCI_TOO_LARGE'
  | 'OCI_UNAUTHORIZED'
  | 'OCI_UNREACHABLE'
  | 'OCI_UNSUPPORTED'
  /** Bytes that are not those of their digest or size. */
  | 'OCI_WRONG_CONTENT';

/** Raised by everything about images of containers. */
export class OciError extends AnoleError {
  declare readonly code: OciCode;
  constructor(code: OciCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
