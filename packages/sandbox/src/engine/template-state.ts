import type { FuseState } from '@anole/fuse';

/** What a template keeps beside the machine. */
export interface TemplateState {
  /** The frame with which the agent said that it serves. */
  readonly hello: Uint8Array;
  /** What the guest knows of its root. */
  readonly root: FuseState;
}

/** As it lies in the snapshot: JSON, the frame in base64. */
interface Stored {
  readonly hello: string;
  readonly root: FuseState;
}

export function writeTemplateState({ hello, root }: TemplateState): Uint8Array {
  const stored: Stored = { hello: btoa(String.fromCharCode(...hello)), root };
  return new TextEncoder().encode(JSON.stringify(stored));
}

/** @throws SyntaxError, TypeError … where {@link writeTemplateState} did not make it */
export function readTemplateState(bytes: Uint8Array): TemplateState {
  const { hello, root } = JSON.parse(new TextDecoder().decode(bytes)) as Stored;
  return { hello: Uint8Array.from(atob(hello), (unit) => unit.charCodeAt(0)), root };
}
