import { fileSource } from '@anole/host';
import { type CapturedConnection, type DecodedMessage, SmcCapture } from '@anole/smc';
import type { CommandContext } from '../context.ts';

interface DecodeFlags {
  readonly all?: boolean;
  readonly summary?: boolean;
}

/** 0 where all could be read, 1 where a message or a checksum is damaged. */
export async function decodeAction(
  context: CommandContext,
  file: string,
  flags: DecodeFlags,
): Promise<number> {
  using source = fileSource(file);
  const capture = new SmcCapture(source);
  let damaged = 0;
  let start: number | undefined;
  try {
    for await (const message of capture.messages({ signal: context.signal })) {
      start ??= message.time;
      if (message.problem !== undefined) damaged++;
      if (flags.summary || (isTransport(message) && !flags.all)) continue;
      context.out(context.json ? jsonOf(message) : lineOf(message, start));
    }
  } finally {
    // Of a capture that was cut short, too.
    for (const connection of capture.connections()) {
      context.out(context.json ? jsonOf({ connection }) : sentenceOf(connection));
    }
  }
  if (damaged > 0) context.err(`anole: ${damaged} messages of ${file} are damaged`);
  return damaged > 0 ? 1 : 0;
}

/** Acknowledgements, and packets of a WRITE behind its first one. */
const isTransport = ({ layer, message, problem }: DecodedMessage): boolean =>
  problem === undefined &&
  (layer === 'ack' || (layer === 'rdma' && message !== undefined && !('write' in message)));

function lineOf(decoded: DecodedMessage, start: number): string {
  const { packet, time, source, destination, layer, connection, summary, problem } = decoded;
  const place = `${String(packet).padStart(5)} ${(time - start).toFixed(6).padStart(11)}`;
  const which = connection === undefined ? '' : `[${connection}] `;
  const wrong = problem === undefined ? '' : ` — ${problem}`;
  return `${place}  ${source} → ${destination}  ${layer.toUpperCase().padEnd(4)} ${which}${summary}${wrong}`;
}

function sentenceOf(connection: CapturedConnection): string {
  const { number, client, server, transport, version, isFirstContact, eid, diagnosis } = connection;
  const ends = `[${number}] ${client} → ${server}:`;
  if (diagnosis !== undefined) {
    const hint = diagnosis.hint === undefined ? '' : `; ${diagnosis.hint}`;
    return `${ends} TCP, because ${diagnosis.reason} (0x${diagnosis.code.toString(16).padStart(8, '0')})${hint}`;
  }
  if (version === undefined) return `${ends} unknown, the handshake is not whole`;
  const group = isFirstContact ? 'a new link group' : 'a known link group';
  return `${ends} ${transport} version ${version} in ${group}${eid === undefined ? '' : `, EID ${eid}`}`;
}

/** Byte fields as hexadecimal, 64-bit numbers as text. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, each) => {
    if (each instanceof Uint8Array) return Buffer.from(each).toString('hex');
    return typeof each === 'bigint' ? `0x${each.toString(16)}` : each;
  });
}
