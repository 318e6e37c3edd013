import { AnoleError } from '@anole/bytes';

/** Status codes of gRPC (grpc.io, "Status codes and their use in gRPC"). */
export const Status = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** What containerd should make of an error; what is not named here is `unknown`. */
const byCode: Readonly<Record<string, number>> = {
  CONTAINERD_BAD_MESSAGE: Status.internal,
  CONTAINERD_BAD_REQUEST: Status.invalidArgument,
  CONTAINERD_EXISTS: Status.alreadyExists,
  CONTAINERD_IN_USE: Status.failedPrecondition,
  CONTAINERD_NOT_FOUND: Status.notFound,
  CONTAINERD_TOO_LARGE: Status.resourceExhausted,
  CONTAINERD_UNAVAILABLE: Status.unavailable,
  CONTAINERD_UNKNOWN_METHOD: Status.unimplemented,
  CLI_DAEMON: Status.unavailable,
  HOST_NO_SPACE: Status.resourceExhausted,
};

/** The status by which an error is told. */
export function statusOf(error: unknown): number {
  return (AnoleError.is(error) ? byCode[error.code] : undefined) ?? Status.unknown;
}

/** A message as the header `grpc-message` has it ("gRPC over HTTP2", Status-Message). */
export function percentEncoded(text: string): string {
  let encoded = '';
  for (const byte of new TextEncoder().encode(text)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** The inverse of {@link percentEncoded}, also of what is not well encoded. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
