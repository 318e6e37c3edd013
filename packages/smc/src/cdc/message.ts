import { viewOf } from '@anole/bytes';
import { parsing, SmcError } from '../errors.ts';
import { CDC_BYTES, CDC_TYPE, CdcMessageR, ConnectionFlag, ProducerFlag } from '../layout/cdc.ts';

export interface CdcCursor {
  readonly wrap: number;
  readonly count: number;
}

/** What one end of an SMC-R connection tells the other about what it wrote and read. */
export interface CdcMessage {
  readonly kind: 'cdc';
  readonly sequence: number;
  /** Alert token that the receiver gave in Accept or Confirm. */
  readonly token: number;
  readonly producer: CdcCursor;
  readonly consumer: CdcCursor;
  readonly producerFlags: readonly (keyof typeof ProducerFlag)[];
  readonly connectionFlags: readonly (keyof typeof ConnectionFlag)[];
}

/** @throws SmcError `SMC_BAD_CDC` */
export function parseCdc(bytes: Uint8Array): CdcMessage {
  const fields = parsing('SMC_BAD_CDC', 'a CDC message', () => CdcMessageR.decode(bytes));
  const { type, length, producerFlags, connectionFlags, ...rest } = fields;
  if (type !== CDC_TYPE || length !== CDC_BYTES) {
    throw new SmcError('SMC_BAD_CDC', `Cannot read a CDC message: type ${type}, length ${length}`);
  }
  return {
    kind: 'cdc',
    ...rest,
    producerFlags: namesOf(ProducerFlag, producerFlags),
    connectionFlags: namesOf(ConnectionFlag, connectionFlags),
  };
}

export function writeCdc(message: CdcMessage): Uint8Array {
  const bytes = new Uint8Array(CDC_BYTES);
  CdcMessageR.write(viewOf(bytes), 0, {
    ...message,
    type: CDC_TYPE,
    length: CDC_BYTES,
    producerFlags: bitsOf(ProducerFlag, message.producerFlags),
    connectionFlags: bitsOf(ConnectionFlag, message.connectionFlags),
  });
  return bytes;
}

function namesOf<K extends string>(flags: Readonly<Record<K, number>>, bits: number): K[] {
  return (Object.keys(flags) as K[]).filter((name) => (bits & flags[name]) !== 0);
}

function bitsOf<K extends string>(flags: Readonly<Record<K, number>>, names: readonly K[]): number {
  return names.reduce((bits, name) => bits | flags[name], 0);
}
