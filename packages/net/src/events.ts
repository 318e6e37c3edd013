import type { Protocol } from './policy/rule.ts';

/** What a guest tried. */
export type NetworkEvent =
  | {
      readonly type: 'connection';
      readonly protocol: Protocol;
      readonly address: string;
      readonly port: number;
      /** Names that the guest looked up and that led to the address. */
      readonly names: readonly string[];
      readonly allowed: boolean;
      /** What decided: `no rule allows it`. */
      readonly reason: string;
    }
  /** A name that was not looked up. */
  | {
      readonly type: 'lookup';
      readonly name: string;
      readonly allowed: false;
      readonly reason: string;
    }
  /** The capture file could not be written any more, and ends here. */
  | { readonly type: 'capture'; readonly allowed: false; readonly reason: string };
