import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SmcError } from '../errors.ts';
import type { LlcBody } from '../llc/kinds.ts';
import { type LlcMessage, writeLlc } from '../llc/message.ts';

/** How long an answer may take. Source: net/smc/smc_llc.h, SMC_LLC_WAIT_FIRST_TIME. */
const ANSWER_TIME = 5000;

/**
 * Requests of link layer control and their answers: one request at a time, as Linux wants it, since its
 * ends have a place for one.
 */
export class LlcExchange {
  readonly #send: (payload: Uint8Array) => void;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting: { readonly kind: LlcBody['kind']; answer(message: LlcMessage): void } | undefined;
  /** Rejects when the link ends. */
  readonly #ended = Promise.withResolvers<never>();

  constructor(send: (payload: Uint8Array) => void) {
    this.#send = send;
    this.#ended.promise.catch(() => {});
  }

  /** The link has ended: what is asked, now and later, fails so. */
  end(error: Error): void {
    this.#ended.reject(error);
  }

  /** Gives an answer, with flags of its kind. */
  respond(body: LlcBody, flags = 0): void {
    this.#send(writeLlc({ ...body, version: 2, isResponse: true, flags }));
  }

  /**
   * Asks after all that was asked before is answered.
   *
   * @throws SmcError `SMC_LINK_LOST` where no answer comes
   */
  request(body: LlcBody, flags = 0): Promise<LlcMessage> {
    const answered = this.#turn.then(() => this.#ask(body, flags));
    this.#turn = answered.catch(() => {});
    return answered;
  }

  async #ask(body: LlcBody, flags: number): Promise<LlcMessage> {
    const { promise, resolve } = Promise.withResolvers<LlcMessage>();
    this.#waiting = { kind: body.kind, answer: resolve };
    this.#send(writeLlc({ ...body, version: 2, isResponse: false, flags }));
    const timer = new AbortController();
    const late = sleep(ANSWER_TIME, undefined, { signal: timer.signal, ref: false });
    try {
      const answer = await Promise.race([this.#ended.promise, promise, late]);
      if (answer !== undefined) return answer;
    } finally {
      this.#waiting = undefined;
      timer.abort();
      late.catch(() => {});
    }
    throw new SmcError('SMC_LINK_LOST', `Cannot go on with a link: no answer to ${body.kind}`);
  }

  /** An answer of the peer; one that nobody waits for is none. */
  receive(message: LlcMessage): void {
    if (this.#waiting?.kind === message.kind) this.#waiting.answer(message);
  }

  /** Asks whether the peer is there. */
  async test(): Promise<void> {
    await this.request({ kind: 'test-link', userData: new Uint8Array(randomBytes(16)) });
  }
}
