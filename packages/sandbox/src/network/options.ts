import { NetError, type NetworkEvent, Policy, type PolicyOptions, parseIpv4 } from '@anole/net';

/** A port of this computer whose connections go to the guest. */
export interface PublishedPort {
  /** Address of this computer to listen at. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  readonly guest: number;
}

export interface NetworkOptions extends PolicyOptions {
  /** `HOST:GUEST`, `ADDRESS:HOST:GUEST` or `PORT` for both; HOST 0 is any free one. Default address: 127.0.0.1. */
  readonly publish?: readonly string[];
  /** Name servers, `ADDRESS` or `ADDRESS:PORT`, in the place of this computer's. */
  readonly dns?: readonly string[];
  /** File that gets the guest's traffic in the pcap format. */
  readonly capture?: string;
  /** Told what the guest tries. A flood is thinned out: at most 100 a second. */
  readonly onEvent?: (event: NetworkEvent) => void;
}

/** What a machine's thread needs for its network. */
export interface NetworkOrder {
  readonly policy: PolicyOptions;
  readonly publish: readonly PublishedPort[];
  readonly dns: readonly string[];
  readonly capture?: string;
  /** Whether anyone listens to events. */
  readonly events: boolean;
}

/**
 * Checks options and makes an order of them.
 *
 * @throws NetError `NET_BAD_RULE`, `NET_BAD_PORT`
 */
export function networkOrder(options: true | NetworkOptions): NetworkOrder {
  const {
    publish = [],
    dns = [],
    capture,
    onEvent,
    ...policy
  } = options === true ? { public: true } : options;
  new Policy(policy); // what is wrong with its rules shows here
  return {
    policy,
    publish: publish.map(parsePublish),
    dns,
    events: onEvent !== undefined,
    ...(capture !== undefined && { capture }),
  };
}

/** @throws NetError `NET_BAD_PORT` */
export function parsePublish(text: string): PublishedPort {
  const match = /^(?:(?:([^:]+):)?(\d{1,5}):)?(\d{1,5})$/.exec(text);
  const [, host = '127.0.0.1', port, guest] = match ?? [];
  const published = { host, port: Number(port ?? guest), guest: Number(guest) };
  const right = published.port <= 65535 && published.guest >= 1 && published.guest <= 65535;
  const address = host === 'localhost' || parseIpv4(host) !== undefined;
  if (match !== null && right && address) return published;
  throw new NetError('NET_BAD_PORT', `Cannot publish ${JSON.stringify(text)}`, {
    hint: 'give [ADDRESS:]HOST:GUEST, such as 8080:80 or 0.0.0.0:8080:80',
  });
}
