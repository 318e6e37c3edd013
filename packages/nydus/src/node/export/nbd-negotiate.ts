import { viewOf } from '@anole/bytes';
import type { Exported, Exports } from './exports.ts';
import {
  ExportFlag,
  ExportReply,
  GREETING,
  Greeting,
  HandshakeFlag,
  InfoBlockSize,
  InfoExport,
  InfoType,
  OPTION,
  OPTION_REPLY,
  OptionAnswer,
  OptionHeader,
  OptionReply,
  OptionType,
} from './nbd-layout.ts';
import { NbdError, type NbdWire } from './nbd-wire.ts';

/** Bytes that a request may ask for. */
export const MAX_REQUEST = 32 * 1024 * 1024;
/** Bytes of an option: a name has 4096 at most. */
const MAX_OPTION = 8192;
const MAX_NAME = 4096;
/** Options of one client, which could go on for ever. */
const MAX_OPTIONS = 256;
const flags =
  ExportFlag.hasFlags |
  ExportFlag.readOnly |
  ExportFlag.sendFlush |
  ExportFlag.sendCache |
  ExportFlag.multipleConnections;
/** What a client may ask for at once, and had better ask for. */
const blockSizes = { type: InfoType.blockSize, least: 1, preferred: 4096, most: MAX_REQUEST };

const nothing = new Uint8Array(0);

/** What is told of an export that cannot be opened. */
type OnFailure = (name: string, error: unknown) => void;

/**
 * The handshake in its fixed new style: what the client chose, or undefined where it chose nothing.
 *
 * @throws NbdError
 */
export async function negotiate(
  wire: NbdWire,
  exports: Exports,
  onFailure: OnFailure,
): Promise<Exported | undefined> {
  const own = HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes;
  await wire.send(Greeting.encode({ magic: GREETING, version: OPTION, flags: own }));
  const answer = await wire.take(4);
  if (answer === undefined) return undefined;
  const theirs = viewOf(answer).getUint32(0);
  if ((theirs & ~own) !== 0 || (theirs & HandshakeFlag.fixedNewstyle) === 0) {
    throw new NbdError('its handshake is of another style', { flags: theirs });
  }
  const hasZeroes = (theirs & HandshakeFlag.noZeroes) === 0;
  for (let turn = 0; turn < MAX_OPTIONS; turn++) {
    const header = await wire.take(OptionHeader.size);
    if (header === undefined) return undefined;
    const { magic, option, length } = OptionHeader.decode(header);
    if (magic !== OPTION) throw new NbdError('an option does not begin as options do');
    const reply = (type: number, data: Uint8Array = nothing) =>
      wire.send(
        OptionReply.encode({ magic: OPTION_REPLY, option, type, length: data.length }),
        data,
      );
    if (length > MAX_OPTION) {
      if (option === OptionType.exportName || length > MAX_REQUEST) {
        throw new NbdError(`an option has ${length} bytes`);
      }
      await wire.skip(length);
      await reply(OptionAnswer.tooBig);
      continue;
    }
    const data = await wire.take(length);
    if (data === undefined) return undefined;
    switch (option) {
      case OptionType.exportName: {
        // The old way, which has no answer for what is not there.
        const found = await open(exports, textOf(data), onFailure);
        if (found === undefined) throw new NbdError('it wants what is not exported');
        const size = BigInt(found.source.size);
        await wire.send(ExportReply.encode({ size, flags }), new Uint8Array(hasZeroes ? 124 : 0));
        return found;
      }
      case OptionType.abort:
        await reply(OptionAnswer.ack);
        return undefined;
      case OptionType.list:
        if (length > 0) await reply(OptionAnswer.invalid);
        else {
          for (const name of exports.names) await reply(OptionAnswer.server, named(name));
          await reply(OptionAnswer.ack);
        }
        break;
      case OptionType.info:
      case OptionType.go: {
        const name = wantedName(data);
        if (name === undefined) {
          await reply(OptionAnswer.invalid);
          break;
        }
        const found = await open(exports, name, onFailure);
        if (found === undefined) {
          await reply(OptionAnswer.unknown, new TextEncoder().encode('it is not exported'));
          break;
        }
        const size = BigInt(found.source.size);
        await reply(OptionAnswer.info, InfoExport.encode({ type: InfoType.export, size, flags }));
        await reply(OptionAnswer.info, InfoBlockSize.encode(blockSizes));
        await reply(OptionAnswer.ack);
        if (option === OptionType.go) return found;
        break;
      }
      default:
        await reply(OptionAnswer.unsupported);
    }
  }
  throw new NbdError('it goes on asking for options');
}

/** The empty name is the first export's. */
async function open(
  exports: Exports,
  name: string,
  onFailure: OnFailure,
): Promise<Exported | undefined> {
  const chosen = name === '' ? exports.names[0] : name;
  if (chosen === undefined || !exports.names.includes(chosen)) return undefined;
  try {
    return await exports.open(chosen);
  } catch (error) {
    onFailure(chosen, error);
    return undefined;
  }
}

/** Of `info` and `go`: a name, and which information is wanted. All is given. */
function wantedName(data: Uint8Array): string | undefined {
  if (data.length < 6) return undefined;
  const view = viewOf(data);
  const length = view.getUint32(0);
  if (length > MAX_NAME || length + 6 > data.length) return undefined;
  if (data.length !== 6 + length + 2 * view.getUint16(4 + length)) return undefined;
  return textOf(data.subarray(4, 4 + length));
}

function named(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  const data = new Uint8Array(4 + bytes.length);
  viewOf(data).setUint32(0, bytes.length);
  data.set(bytes, 4);
  return data;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
