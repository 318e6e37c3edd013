import { viewOf } from '@anole/bytes';
import * as D from '../layout/dns.ts';
import type { OutsideStream, StreamEvents } from '../outside.ts';
import { readQuestion } from './message.ts';
import type { DnsService } from './service.ts';

/** Queries that one connection may have under way. */
const maxUnderWay = 16;
const maxMessage = 0xffff;
/** What servers send over UDP at the most, whatever is asked for. */
const mostDatagram = 4096;

/** DNS over TCP (RFC 7766): messages with their length before them, answered as they are ready. */
export class DnsStream implements OutsideStream {
  readonly waiting = 0;
  readonly #service: DnsService;
  readonly #events: StreamEvents;
  #input = new Uint8Array(0);
  #underWay = 0;
  #ended = false;
  #closed = false;

  constructor(service: DnsService, events: StreamEvents) {
    this.#service = service;
    this.#events = events;
    queueMicrotask(() => {
      if (!this.#closed) events.connected();
    });
  }

  write(bytes: Uint8Array): boolean {
    const all = new Uint8Array(this.#input.length + bytes.length);
    all.set(this.#input);
    all.set(bytes, this.#input.length);
    let at = 0;
    while (all.length - at >= 2) {
      const length = viewOf(all).getUint16(at);
      if (all.length - at - 2 < length) break;
      void this.#answer(all.slice(at + 2, at + 2 + length));
      at += 2 + length;
    }
    this.#input = all.slice(at);
    return false;
  }

  end(): void {
    this.#ended = true;
    if (this.#underWay === 0) queueMicrotask(() => this.#finish());
  }

  // An answer is small, and there are few.
  pause(): void {}
  resume(): void {}

  close(): void {
    this.#closed = true;
  }

  async #answer(message: Uint8Array): Promise<void> {
    if (this.#underWay >= maxUnderWay) return;
    this.#underWay++;
    const answer = await this.#service.answer(message);
    this.#underWay--;
    if (this.#closed) return;
    if (answer !== undefined && answer.length <= maxMessage) {
      const framed = new Uint8Array(2 + answer.length);
      viewOf(framed).setUint16(0, answer.length);
      framed.set(answer, 2);
      this.#events.data(framed);
    }
    if (this.#ended && this.#underWay === 0) this.#finish();
  }

  #finish(): void {
    if (!this.#closed) this.#events.ended();
  }
}

/** A response for UDP: only its question, marked as cut, where the guest cannot take all of it. */
export function truncated(response: Uint8Array, query: Uint8Array): Uint8Array {
  if (response.length <= largestResponse(query)) return response;
  const cut = response.slice(0, readQuestion(response).end);
  const view = viewOf(cut);
  view.setUint16(2, view.getUint16(2) | D.TRUNCATED);
  for (const at of [6, 8, 10]) view.setUint16(at, 0);
  return cut;
}

/** What a query says of the responses that its sender takes: by EDNS (RFC 6891, 6.1.2), or not. */
function largestResponse(query: Uint8Array): number {
  const view = viewOf(query);
  const at = readQuestion(query).end;
  const hasOption = query.length >= at + 5 && query[at] === 0;
  if (!hasOption || view.getUint16(at + 1) !== D.TYPE_OPT) return D.MAX_UDP;
  return Math.min(Math.max(D.MAX_UDP, view.getUint16(at + 3)), mostDatagram);
}
