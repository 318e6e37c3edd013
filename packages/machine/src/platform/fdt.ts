import { MachineError } from '../errors.ts';

/**
 * A property's value: a string (NUL-terminated), strings in a row, 32-bit cells, raw bytes, or
 * `true` for one that is only present.
 */
export type PropertyValue = string | readonly string[] | readonly number[] | Uint8Array | true;

/** A node of a device tree. Properties come in the order given, before the children. */
export interface DeviceTreeNode {
  /** With the unit address: `memory@80000000`. Empty for the root. */
  readonly name: string;
  readonly properties: Readonly<Record<string, PropertyValue>>;
  readonly children?: readonly DeviceTreeNode[];
}

// Devicetree Specification v0.4, section 5 "Flattened Devicetree (DTB) Format".
const MAGIC = 0xd00dfeed;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;
const HEADER_SIZE = 40;
/** One all-zero entry ends the (empty) list of reservations. */
const RESERVATIONS_SIZE = 16;
const BEGIN_NODE = 1;
const END_NODE = 2;
const PROP = 3;
const END = 9;

const encoder = new TextEncoder();

/**
 * Flattens a device tree, version 17.
 *
 * @throws MachineError `MACHINE_BAD_DEVICE_TREE` for a name or value that the format cannot hold
 */
export function writeDeviceTree(root: DeviceTreeNode, bootHart = 0): Uint8Array {
  const structure = new Blob();
  const strings = new Strings();
  writeNode(structure, strings, root);
  structure.cell(END);
  const structureAt = HEADER_SIZE + RESERVATIONS_SIZE;
  const stringsAt = structureAt + structure.length;
  const header = new Blob();
  for (const word of [
    MAGIC,
    stringsAt + strings.blob.length,
    structureAt,
    stringsAt,
    HEADER_SIZE,
    VERSION,
    LAST_COMPATIBLE_VERSION,
    bootHart,
    strings.blob.length,
    structure.length,
  ]) {
    header.cell(word);
  }
  header.bytes(new Uint8Array(RESERVATIONS_SIZE));
  return join([...header.parts, ...structure.parts, ...strings.blob.parts]);
}

function writeNode(out: Blob, strings: Strings, node: DeviceTreeNode): void {
  out.cell(BEGIN_NODE);
  out.bytes(terminated(node.name));
  out.align();
  for (const [name, value] of Object.entries(node.properties)) {
    const bytes = encodeValue(name, value);
    out.cell(PROP);
    out.cell(bytes.length);
    out.cell(strings.offsetOf(name));
    out.bytes(bytes);
    out.align();
  }
  for (const child of node.children ?? []) writeNode(out, strings, child);
  out.cell(END_NODE);
}

function encodeValue(name: string, value: PropertyValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (typeof value === 'string') return terminated(value);
  if (value instanceof Uint8Array) return value;
  const out = new Blob();
  for (const item of value) {
    if (typeof item === 'string') out.bytes(terminated(item));
    else if (Number.isInteger(item) && item >= 0 && item <= 0xffff_ffff) out.cell(item);
    else {
      throw new MachineError('MACHINE_BAD_DEVICE_TREE', `Cannot write cell ${item} of ${name}`);
    }
  }
  return join(out.parts);
}

/** A number as two cells, high half first. */
export function cells64(value: number): readonly [number, number] {
  return [Math.floor(value / 0x1_0000_0000), value % 0x1_0000_0000];
}

function terminated(text: string): Uint8Array {
  if (text.includes('\0')) {
    throw new MachineError(
      'MACHINE_BAD_DEVICE_TREE',
      `Cannot write a string with a NUL byte: ${JSON.stringify(text)}`,
    );
  }
  return encoder.encode(`${text}\0`);
}

/** Names of properties, each stored once. */
class Strings {
  readonly blob = new Blob();
  readonly #offsets = new Map<string, number>();

  offsetOf(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.blob.length;
    this.blob.bytes(terminated(name));
    this.#offsets.set(name, offset);
    return offset;
  }
}

class Blob {
  readonly parts: Uint8Array[] = [];
  length = 0;

  bytes(bytes: Uint8Array): void {
    this.parts.push(bytes);
    this.length += bytes.length;
  }

  /** A big-endian 32-bit word. */
  cell(value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value);
    this.bytes(bytes);
  }

  align(): void {
    const rest = this.length % 4;
    if (rest !== 0) this.bytes(new Uint8Array(4 - rest));
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
