import { check, native, nativeError, viewAt } from './koffi.ts';

const mmap = native(
  'uintptr_t mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const munmap = native('int munmap(uintptr_t address, size_t length)');

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

export interface MappingOptions {
  /** In bytes, a multiple of the page size. Default 0. */
  readonly offset?: number;
  /** Default false: a write through the buffer then ends the process (SIGSEGV). */
  readonly writable?: boolean;
}

/** Part of a file in memory. Its owner closes it; otherwise it stays until the process ends. */
export interface Mapping extends Disposable {
  /**
   * A part of it, shared with whoever else maps the file. Only parts that were asked for count as
   * memory of this process, so a mapping may be large. `close` detaches the buffer: its views then
   * have no elements.
   *
   * @throws RangeError beyond the end
   */
  view(offset: number, length: number): ArrayBuffer;
  close(): void;
}

/**
 * Maps a file, shared. The descriptor may be closed afterwards.
 *
 * Whoever can shrink the file can end this process (SIGBUS): of files from elsewhere, demand
 * `Seal.shrink` first.
 *
 * @throws HostError `HOST_NO_NATIVE`, `HOST_NOT_PERMITTED`, `HOST_IO`
 */
export function mapFile(fd: number, length: number, options: MappingOptions = {}): Mapping {
  const protection = options.writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const mapped = BigInt(mmap(null, length, protection, MAP_SHARED, fd, options.offset ?? 0));
  if (BigInt.asIntN(64, mapped) === -1n) throw nativeError('map a file');
  const views: ArrayBuffer[] = [];
  let open = true;
  const view = (offset: number, size: number) => {
    if (!open || offset < 0 || offset + size > length) throw new RangeError('outside the mapping');
    const buffer = viewAt(mapped + BigInt(offset), size);
    views.push(buffer);
    return buffer;
  };
  const close = () => {
    if (!open) return;
    open = false;
    // Whoever still has a view then finds it empty, instead of memory that is not there.
    for (const each of views) each.transfer(0);
    check(munmap(mapped, length), 'unmap a file');
  };
  return { view, close, [Symbol.dispose]: close };
}
