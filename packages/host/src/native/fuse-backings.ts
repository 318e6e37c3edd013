import { check, native } from './koffi.ts';

const ioctl = native('int ioctl(int fd, unsigned long request, void *argument)');

/** FUSE_DEV_IOC_BACKING_OPEN and _CLOSE of linux/fuse.h: _IOW(229, 1, struct fuse_backing_map), _IOW(229, 2, u32). */
const BACKING_OPEN = 0x4010_e501;
const BACKING_CLOSE = 0x4004_e502;

/**
 * Files of this computer that the kernel reads in the place of files of a FUSE mount (FUSE_PASSTHROUGH, Linux 6.9).
 * Numbers live as long as the mount, whoever serves it. Needs root.
 */
export class FuseBackings {
  #device: number | undefined;

  /** @param device descriptor of /dev/fuse. It stays the caller's, who calls {@link detach} before closing it. */
  attach(device: number): void {
    this.#device = device;
  }

  detach(): void {
    this.#device = undefined;
  }

  /**
   * Gives an open file a number by which a reply of OPEN may name it. The kernel has a descriptor of its own then.
   *
   * @throws HostError `HOST_NO_NATIVE`, `HOST_NOT_PERMITTED` without root or where passing was not agreed on; `HOST_IO`
   * where the file cannot be passed: it is no file, or lies on an overlay (`ELOOP`); or where nothing is mounted any more
   */
  open(fd: number): number {
    const map = new Int32Array([fd, 0, 0, 0]);
    return check(ioctl(this.#device ?? -1, BACKING_OPEN, map), 'have the kernel read a file');
  }

  /** Takes a number back. Those who have the file open under it keep it. A number that is none is left. */
  close(id: number): void {
    if (this.#device !== undefined) ioctl(this.#device, BACKING_CLOSE, new Uint32Array([id]));
  }
}
