import { HostError } from '@anole/host';

export function isTaken(directory: string): HostError {
  return new HostError('HOST_EXISTS', `Cannot mount on ${directory}: an image is mounted there`, {
    hint: `anole image umount ${directory}`,
  });
}

export function areTooMany(most: number): HostError {
  const what = `Cannot mount through FUSE: ${most} images are, which is the most of one service`;
  return new HostError('HOST_IO', what, {
    hint: 'Unmount one, mount with --kind kernel, or start another service: anole image serve --socket PATH',
  });
}

export function isFree(directory: string): HostError {
  return new HostError('HOST_NOT_FOUND', `Cannot unmount ${directory}: no image is mounted there`);
}

export function isCovered(directory: string): HostError {
  const what = `Cannot unmount ${directory}: something else is mounted over the image`;
  return new HostError('HOST_IO', what, { hint: `umount ${directory}` });
}

export function cannotTell(): HostError {
  const what = 'Cannot mount images by the kernel: it does not tell of reads';
  return new HostError('HOST_IO', what, {
    hint: 'It needs Linux 6.14, root, koffi, and a cache on a file system that tells of reads, such as ext4, XFS or btrfs. Mount with --kind fuse.',
  });
}

export function cannotEnd(directory: string): HostError {
  return new HostError('HOST_IO', `Cannot end: the image of ${directory} cannot be opened now`, {
    hint: 'What is mounted needs this service until the place of the image answers again.',
  });
}
