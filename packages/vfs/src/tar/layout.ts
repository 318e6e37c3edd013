/** Bytes of a block: headers are one, bodies are padded to it. */
export const BLOCK = 512;

/** A field of a header: offset and length in bytes. */
export type Field = readonly [offset: number, length: number];

/** Header fields. POSIX.1-2017, pax, "ustar Interchange Format". */
export const header = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  userName: [265, 32],
  groupName: [297, 32],
  major: [329, 8],
  minor: [337, 8],
  /** ustar only: what comes before `name` and a slash. */
  prefix: [345, 155],
} as const satisfies Record<string, Field>;

/** What GNU tar keeps in place of the prefix. GNU tar manual, "Basic Tar Format", oldgnu_header. */
export const gnuHeader = {
  accessTime: [345, 12],
  changeTime: [357, 12],
  /** Four pairs of (offset, length), 12 bytes each. */
  sparse: [386, 96],
  isExtended: [482, 1],
  realSize: [483, 12],
} as const satisfies Record<string, Field>;

/** A block that goes on with the map of an old GNU sparse file: 21 pairs. */
export const sparseExtension = {
  sparse: [0, 504],
  isExtended: [504, 1],
} as const satisfies Record<string, Field>;

/** star's header: a shorter prefix, then times, then `tar\0`. */
export const starHeader = {
  prefix: [345, 131],
  magic: [508, 4],
} as const satisfies Record<string, Field>;

/** Values of `type`. Letters are by the vendors named. */
export const typeFlag = {
  oldFile: 0,
  file: 0x30, // 0
  hardLink: 0x31, // 1
  symlink: 0x32, // 2
  character: 0x33, // 3
  block: 0x34, // 4
  directory: 0x35, // 5
  fifo: 0x36, // 6
  contiguous: 0x37, // 7
  solarisAcl: 0x41, // A
  gnuDumpDirectory: 0x44, // D
  starInode: 0x49, // I
  gnuLongLink: 0x4b, // K
  gnuLongName: 0x4c, // L
  gnuMultiVolume: 0x4d, // M
  gnuNames: 0x4e, // N
  gnuSparse: 0x53, // S
  gnuVolumeLabel: 0x56, // V
  solarisPax: 0x58, // X
  paxGlobal: 0x67, // g
  pax: 0x78, // x
} as const;
