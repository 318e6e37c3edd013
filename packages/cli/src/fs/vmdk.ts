/** A file of a virtual disk, and so many bytes of it: a multiple of a sector. */
export interface DiskPart {
  /** From the directory of the descriptor on; without quotes and line breaks. */
  readonly path: string;
  readonly size: number;
}

/** Bytes of a sector, which all parts of a disk have a multiple of. */
export const SECTOR = 512;
/** Sectors of an extent at most: 2 GiB. */
const EXTENT_SECTORS = 2 ** 31 / SECTOR;
const HEADS = 16;
const SECTORS_PER_TRACK = 63;

/**
 * A descriptor of VMware's that makes one disk of several files, as they are. Source: VMware, Virtual Disk Format 5.0,
 * "The Descriptor File".
 *
 * @param uuid 16 bytes that tell disks apart
 */
export function vmdkDescriptor(parts: readonly DiskPart[], uuid: Uint8Array): string {
  const words = new DataView(uuid.buffer, uuid.byteOffset, 16);
  const id = [0, 4, 8, 12].reduce((sum, at) => sum ^ words.getUint32(at, true), 0) >>> 0;
  const sectors = parts.reduce((sum, { size }) => sum + size / SECTOR, 0);
  return [
    '# Disk DescriptorFile',
    'version=1',
    `CID=${id.toString(16)}`,
    'parentCID=ffffffff',
    'createType="twoGbMaxExtentFlat"',
    '',
    '# Extent description',
    ...parts.flatMap(extentsOf),
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    'ddb.virtualHWVersion = "4"',
    `ddb.geometry.cylinders = "${Math.ceil(sectors / (HEADS * SECTORS_PER_TRACK))}"`,
    `ddb.geometry.heads = "${HEADS}"`,
    `ddb.geometry.sectors = "${SECTORS_PER_TRACK}"`,
    'ddb.adapterType = "ide"',
    '',
  ].join('\n');
}

function extentsOf({ path, size }: DiskPart): string[] {
  const lines: string[] = [];
  for (let at = 0; at < size / SECTOR; at += EXTENT_SECTORS) {
    const count = Math.min(size / SECTOR - at, EXTENT_SECTORS);
    lines.push(`RW ${count} FLAT "${path}" ${at}`);
  }
  return lines;
}
