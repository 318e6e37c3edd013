import { MachineError } from '../../errors.ts';
import { type DescriptorChain, scatter } from '../virtio/chain.ts';
import type { VirtioDevice, VirtioHost } from '../virtio/device.ts';
import { misused } from '../virtio/queue.ts';
import { TYPE_NETWORK } from '../virtio/registers.ts';
import { type FrameOffload, readHeader, writeHeader } from './header.ts';
import * as R from './registers.ts';

/** What is at the other end of the cable. */
export interface NetPeer {
  /**
   * Takes a frame of the guest's, Ethernet header first, without checksum at the end.
   *
   * @returns whether the peer keeps any of its memory, which is used for the next frame else
   */
  receive(frame: Uint8Array, offload: FrameOffload): boolean;
  /** The frames that the guest had ready were all received. */
  flush?(): void;
  /** The guest has room again, after {@link VirtioNet.send} found none; or it has another driver. */
  room?(): void;
}

export interface VirtioNetOptions {
  /** 6 bytes, not a group address. */
  readonly mac: Uint8Array;
  /** Bytes of the largest packet in a frame, 68 to 65535. Default 1500. */
  readonly mtu?: number;
  readonly peer: NetPeer;
}

/**
 * Network device (VIRTIO 1.2, 5.1). Carries frames and knows nothing of what is in them. With the
 * offloads that a driver accepts, a frame may be a TCP segment of up to 64 KiB without a checksum:
 * that is what makes it fast.
 */
export class VirtioNet implements VirtioDevice {
  readonly type = TYPE_NETWORK;
  readonly classCode = R.CLASS_ETHERNET;
  readonly features = [
    R.F_CSUM,
    R.F_GUEST_CSUM,
    R.F_MTU,
    R.F_MAC,
    R.F_GUEST_TSO4,
    R.F_GUEST_TSO6,
    R.F_HOST_TSO4,
    R.F_HOST_TSO6,
    R.F_MRG_RXBUF,
    R.F_STATUS,
  ];
  readonly queueSizes = [R.QUEUE_SIZE, R.QUEUE_SIZE];
  readonly config = new Uint8Array(R.CONFIG_SIZE);
  readonly state = {};
  readonly #peer: NetPeer;
  readonly #header = new Uint8Array(R.HEADER_SIZE);
  /** Where frames of the guest's are copied to, so that it cannot change them any more. */
  #scratch = new Uint8Array(R.MAX_FRAME);
  #host: VirtioHost | undefined;
  /** A frame found no room: the peer waits to be told. */
  #full = false;

  /** @throws MachineError `MACHINE_BAD_OPTION` */
  constructor({ mac, mtu = 1500, peer }: VirtioNetOptions) {
    if (mac.length !== 6 || mac[0]! & 1) badOption('that MAC address', 'give 6 bytes, no group');
    if (!(Number.isInteger(mtu) && mtu >= 68 && mtu <= 65535)) {
      badOption(`${mtu} bytes as MTU`, 'give 68 to 65535');
    }
    const view = new DataView(this.config.buffer);
    this.config.set(mac);
    view.setUint16(R.CONFIG_STATUS, R.STATUS_LINK_UP, true);
    view.setUint16(R.CONFIG_MTU, mtu, true);
    this.#peer = peer;
  }

  attach(host: VirtioHost): void {
    this.#host = host;
  }

  start(): void {
    this.#peer.room?.();
  }

  notify(queue: number): void {
    if (queue === R.TRANSMIT_QUEUE) this.#transmit();
    else if (this.#full) {
      this.#full = false;
      this.#peer.room?.();
    }
  }

  reset(): void {
    this.#full = false;
  }

  /** Whether the guest makes checksums and parts segments that {@link send} leaves to it. */
  accepts(what: 'checksum' | 'segments4' | 'segments6'): boolean {
    const host = this.#host;
    if (!host?.live || !host.negotiated(R.F_GUEST_CSUM)) return false;
    if (what === 'checksum') return true;
    return host.negotiated(what === 'segments4' ? R.F_GUEST_TSO4 : R.F_GUEST_TSO6);
  }

  /**
   * Gives the guest a frame: `headers` with all protocol headers, then `data`; both are copied.
   * `offload` must be something that it {@link accepts}.
   *
   * @returns false where the guest has no buffers now: {@link NetPeer.room} is called when it has
   */
  send(headers: Uint8Array, data: readonly Uint8Array[], offload: FrameOffload): boolean {
    const host = this.#host;
    let sent = false;
    host?.guard(() => {
      sent = this.#deliver(host, headers, data, offload);
    });
    this.#full ||= !sent;
    return sent;
  }

  #deliver(
    host: VirtioHost,
    headers: Uint8Array,
    data: readonly Uint8Array[],
    offload: FrameOffload,
  ): boolean {
    const queue = host.queue(R.RECEIVE_QUEUE);
    let wanted = R.HEADER_SIZE + headers.length;
    for (const { length } of data) wanted += length;
    const merge = host.negotiated(R.F_MRG_RXBUF);
    const chains: DescriptorChain[] = [];
    for (let room = 0; room < wanted; ) {
      const chain = queue.pop();
      if (chain === undefined) {
        queue.putBack(chains.length);
        return false;
      }
      if (chain.writableLength < (chains.length === 0 ? R.HEADER_SIZE : 1)) {
        throw misused('a receive buffer without room');
      }
      chains.push(chain);
      room += chain.writableLength;
      if (!merge && room < wanted) throw misused('a receive buffer too small for a frame');
    }
    writeHeader(this.#header, headers.length, offload, chains.length);
    const writable = chains.length === 1 ? chains[0]!.writable : chains.flatMap((c) => c.writable);
    scatter(host.memory, { writable }, [this.#header, headers, ...data]);
    queue.completeTogether(chains, wanted);
    return true;
  }

  #transmit(): void {
    const host = this.#host!;
    host.serve(R.TRANSMIT_QUEUE, (chain) => {
      this.#take(host, chain);
      host.queue(R.TRANSMIT_QUEUE).complete(chain, 0);
    });
    this.#peer.flush?.();
  }

  #take(host: VirtioHost, chain: DescriptorChain): void {
    const length = chain.readableLength - R.HEADER_SIZE;
    if (length < 0 || length > R.MAX_FRAME) throw misused(`a frame of ${length} bytes`);
    const frame = this.#scratch.subarray(0, length);
    let at = -R.HEADER_SIZE;
    for (const segment of chain.readable) {
      const bytes = host.memory.readable(segment.address, segment.length);
      if (at >= 0) frame.set(bytes, at);
      else {
        this.#header.set(bytes.subarray(0, -at), R.HEADER_SIZE + at);
        if (at + bytes.length > 0) frame.set(bytes.subarray(-at), 0);
      }
      at += bytes.length;
    }
    const offload = readHeader(this.#header, length);
    if (this.#peer.receive(frame, offload)) this.#scratch = new Uint8Array(R.MAX_FRAME);
  }
}

function badOption(what: string, hint: string): never {
  throw new MachineError('MACHINE_BAD_OPTION', `Cannot use ${what}`, { hint });
}
