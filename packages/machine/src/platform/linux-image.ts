import { MachineError } from '../errors.ts';

// Documentation/arch/riscv/boot-image-header.rst, struct riscv_image_header. Little-endian.
const HEADER_SIZE = 64;
const TEXT_OFFSET = 8;
const IMAGE_SIZE = 16;
const FLAGS = 24;
/** "RISCV\0\0\0", deprecated but still written, and "RSC\x05", the one that counts. */
const MAGIC2_AT = 56;
const MAGIC2 = 0x0543_5352;
const FLAG_BIG_ENDIAN = 1n;

/** arm64's Image has "ARMd" where RISC-V's has its second magic (Documentation/arch/arm64/booting.rst). */
const ARM64_MAGIC = 0x644d_5241;
/** x86's bzImage: 55 aa at 510, "HdrS" at 514. */
const X86_MAGIC_AT = 0x202;
const X86_MAGIC = 0x5372_6448;
const GZIP_MAGIC = 0x8b1f;

export interface LinuxImage {
  /** From the start of RAM; a multiple of 2 MiB on 64-bit systems. */
  readonly textOffset: number;
  /** Bytes in memory, the part that is not in the file included. */
  readonly imageSize: number;
}

/**
 * Reads the header of a RISC-V Linux `Image`.
 *
 * @throws MachineError `MACHINE_BAD_KERNEL`, `MACHINE_WRONG_ARCHITECTURE`
 */
export function parseLinuxImage(bytes: Uint8Array): LinuxImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_SIZE) throw badKernel(`a file of ${bytes.length} bytes`);
  const magic = view.getUint32(MAGIC2_AT, true);
  if (magic !== MAGIC2) throw wrongMagic(view, magic);
  const textOffset = view.getBigUint64(TEXT_OFFSET, true);
  const imageSize = view.getBigUint64(IMAGE_SIZE, true);
  if (view.getBigUint64(FLAGS, true) & FLAG_BIG_ENDIAN) throw badKernel('a big-endian image');
  if (textOffset > 0x4000_0000n || textOffset % 0x1000n !== 0n) {
    throw badKernel(`a text offset of 0x${textOffset.toString(16)}`);
  }
  if (imageSize > 0x1_0000_0000n) throw badKernel(`an image size of ${imageSize} bytes`);
  return {
    textOffset: Number(textOffset),
    imageSize: Math.max(Number(imageSize), bytes.length),
  };
}

function wrongMagic(view: DataView, magic: number): MachineError {
  const elsewhere =
    magic === ARM64_MAGIC
      ? 'arm64'
      : view.byteLength > X86_MAGIC_AT + 4 && view.getUint32(X86_MAGIC_AT, true) === X86_MAGIC
        ? 'x86'
        : undefined;
  if (elsewhere !== undefined) {
    return new MachineError(
      'MACHINE_WRONG_ARCHITECTURE',
      `Cannot boot a kernel for ${elsewhere}: the machine is riscv64`,
      { details: { architecture: elsewhere }, hint: 'take a kernel for riscv64' },
    );
  }
  if (view.getUint16(0, true) === GZIP_MAGIC)
    return badKernel('a gzip file', 'decompress it first');
  return badKernel(`magic 0x${magic.toString(16)} at offset ${MAGIC2_AT}`);
}

function badKernel(what: string, hint = 'give an uncompressed riscv64 Image'): MachineError {
  return new MachineError('MACHINE_BAD_KERNEL', `Cannot boot ${what}: not a Linux Image`, { hint });
}
