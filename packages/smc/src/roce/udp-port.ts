import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { unfragmentedUdp } from '@anole/host/native';
import { SmcError } from '../errors.ts';
import { Bth, ICRC_BYTES, ROCE_PORT } from '../layout/roce.ts';
import { isSound, seal } from './checksum.ts';
import type { RocePort } from './port.ts';

/** Longest packet that is taken: the largest payload, with all headers that it may have. */
const MAX_BYTES = 4096 + Bth.size + 16 + ICRC_BYTES;

/** RoCE v2 through a socket of this process, without an adapter. Nothing else may have the port. */
export class UdpPort implements RocePort {
  readonly address: string;
  onPacket: (packet: Uint8Array, from: string) => void = () => {};
  readonly #socket: Socket;

  /**
   * @param address IPv4 address of this host, dotted
   * @throws SmcError `SMC_NO_ROCE`
   */
  static async open(address: string): Promise<UdpPort> {
    const socket = createSocket('udp4');
    try {
      const listening = once(socket, 'listening');
      socket.bind({ fd: unfragmentedUdp(address, ROCE_PORT) });
      await listening;
    } catch (cause) {
      socket.close();
      throw new SmcError('SMC_NO_ROCE', `Cannot use UDP port ${ROCE_PORT} of ${address}`, {
        cause,
        hint: "The address has to be this host's, and nothing else may have the port: rxe has it for the whole host.",
      });
    }
    return new UdpPort(address, socket);
  }

  private constructor(address: string, socket: Socket) {
    this.address = address;
    this.#socket = socket;
    const here = { address, port: ROCE_PORT };
    socket.on('message', (packet, from) => {
      if (packet.length <= MAX_BYTES && isSound(packet, from, here))
        this.onPacket(packet, from.address);
    });
    // Of a packet that could not leave nobody has to hear: it is sent again, or the link ends.
    socket.on('error', () => {});
  }

  send(packet: Uint8Array, to: string): void {
    seal(packet, { address: this.address, port: ROCE_PORT }, { address: to, port: ROCE_PORT });
    this.#socket.send(packet, ROCE_PORT, to, () => {});
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}
