import type { Socket } from 'node:net';
import { clcLength, parseClc, writeClc } from '../clc/message.ts';
import type { ClcMessage } from '../clc/types.ts';
import { SmcError } from '../errors.ts';
import { ClcHeader } from '../layout/clc.ts';

/** How long the other end may take. Source: net/smc/smc_clc.h, CLC_WAIT_TIME. */
const ANSWER_TIME = 6000;

/** CLC messages over a TCP connection; takes from it what belongs to them, and not a byte more. */
export class ClcChannel {
  readonly #tcp: Socket;

  constructor(tcp: Socket) {
    this.#tcp = tcp;
  }

  send(message: ClcMessage): void {
    this.#tcp.write(writeClc(message));
  }

  /**
   * The next message; undefined where the other end sends something else, which then is still to be
   * read from the connection.
   *
   * @throws SmcError `SMC_BAD_CLC`, `SMC_LINK_LOST` where nothing comes in time
   */
  async receive(): Promise<ClcMessage | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
    const tcp = this.#tcp;
    let head: Buffer | null = null;
    const look = () => {
      // Before the stream has ended a read of so many bytes gives all of them, or none.
      head ??= tcp.read(ClcHeader.size);
      if (head === null) return;
      const length = clcLength(head);
      // At once, since a stream that was read to its end takes nothing back later.
      if (length === undefined) {
        tcp.unshift(head);
        resolve(undefined);
        return;
      }
      const rest: Buffer | null = tcp.read(length - head.length);
      if (rest !== null) resolve(new Uint8Array(Buffer.concat([head, rest])));
    };
    const fail = (why: string) =>
      reject(new SmcError('SMC_LINK_LOST', `Cannot agree on SMC: ${why}`));
    const gone = () => fail('the peer hung up');
    const timer = setTimeout(fail, ANSWER_TIME, 'the peer does not answer');
    tcp.on('readable', look).on('end', gone).on('close', gone);
    look();
    try {
      const bytes = await promise;
      return bytes && parseClc(bytes);
    } finally {
      clearTimeout(timer);
      tcp.off('readable', look).off('end', gone).off('close', gone);
    }
  }
}
