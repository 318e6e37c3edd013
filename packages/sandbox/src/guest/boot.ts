import { writeCpio } from './cpio.ts';

/** A volume of a guest: a virtio-fs device by its tag, and where it goes. */
export interface GuestVolume {
  readonly tag: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** Tag of the device with the image's root. */
export const rootTag = 'root';

/** Directories that must be in the root before the guest starts: places of mounts. */
export const mountPoints = ['proc', 'sys', 'dev', 'tmp', 'run', 'run/anole'] as const;

/**
 * The archive that is appended to the guest's first file system at each start: its /etc/fstab, which
 * says what is mounted, in order.
 */
export function bootArchive(volumes: readonly GuestVolume[]): Uint8Array<ArrayBuffer> {
  const lines = [
    `${rootTag} /newroot virtiofs rw 0 0`,
    'proc /newroot/proc proc nosuid,nodev,noexec 0 0',
    'sysfs /newroot/sys sysfs nosuid,nodev,noexec 0 0',
    'devtmpfs /newroot/dev devtmpfs mode=0755,nosuid 0 0',
    'tmpfs /newroot/tmp tmpfs nosuid,nodev,mode=1777 0 0',
    '/anole /newroot/run/anole none bind 0 0',
    ...volumes.map(
      ({ tag, path, readOnly }) =>
        `${tag} /newroot${octal(path)} virtiofs ${readOnly ? 'ro' : 'rw'} 0 0`,
    ),
  ];
  const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`);
  return writeCpio([{ path: 'etc/fstab', type: 'file', mode: 0o644, bytes }]);
}

/** fstab(5): white space in fields is written in octal. */
function octal(path: string): string {
  return path.replace(/[\s\\#]/g, (character) => {
    return `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
  });
}

/**
 * The kernel's command line. Its console is hvc0, which nobody reads but to explain a panic; what
 * costs boot time and protects nobody from anybody in a guest of one user is off: self-tests of
 * ciphers, zeroing of pages that nobody else had, security modules without a policy.
 */
export function kernelCommandLine(hostname: string): string {
  return [
    'console=hvc0',
    'earlycon=sbi',
    'quiet',
    'panic=-1',
    'cryptomgr.notests',
    'init_on_alloc=0',
    'lsm=',
    'random.trust_bootloader=on',
    `hostname=${hostname}`,
  ].join(' ');
}
