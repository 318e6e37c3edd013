import type { ReplayContext } from './context.ts';

const DEFAULTS = '/usr/share/base-files';

/** base-files.postinst: defaults of /etc and /root, the directories every system has. */
export function replayBaseFiles({ rootfs, accounts }: ReplayContext): void {
  const gid = (name: string) => accounts.group(name)?.gid ?? 0;
  if (rootfs.exists('/etc/dpkg/origins/debian'))
    rootfs.symlink('/etc/dpkg/origins/default', 'debian');
  rootfs.copyMissing(`${DEFAULTS}/dot.profile`, '/root/.profile');
  rootfs.copyMissing(`${DEFAULTS}/dot.bashrc`, '/root/.bashrc');
  rootfs.copyMissing(`${DEFAULTS}/profile`, '/etc/profile');
  rootfs.copyMissing(`${DEFAULTS}/motd`, '/etc/motd');
  for (const name of ['mnt', 'srv', 'opt', 'etc/opt', 'var/opt', 'media']) rootfs.mkdir(`/${name}`);
  rootfs.mkdir('/var/mail', { mode: 0o2775, gid: gid('mail') });
  if (rootfs.at('/var/spool/mail') === undefined) rootfs.symlink('/var/spool/mail', '../mail');
  rootfs.mkdir('/run/lock', { mode: 0o1777 });
  migrate('/var/run', '/run');
  migrate('/var/lock', '/run/lock');
  const local = ['', '/share', '/share/man', '/bin', '/games', '/lib', '/libexec', '/include'];
  for (const name of [...local, '/sbin', '/src', '/etc']) rootfs.mkdir(`/usr/local${name}`);
  rootfs.symlink('/usr/local/man', 'share/man');
  rootfs.writeMissing('/var/log/wtmp', '', { mode: 0o664, gid: gid('utmp') });
  rootfs.writeMissing('/var/log/btmp', '', { mode: 0o660, gid: gid('utmp') });
  rootfs.writeMissing('/var/log/lastlog', '', { mode: 0o664, gid: gid('utmp') });
  if (rootfs.isDirectory('/usr/share/info')) {
    rootfs.copyMissing(`${DEFAULTS}/info.dir`, '/usr/share/info/dir', { mode: 0o644 });
  }

  function migrate(path: string, target: string): void {
    if (rootfs.at(path)?.type === 'symlink') return;
    if (rootfs.list(path).length > 0) return;
    rootfs.remove(path);
    rootfs.symlink(path, target);
  }
}

const hosts = `127.0.0.1	localhost
::1		localhost ip6-localhost ip6-loopback
ff02::1		ip6-allnodes
ff02::2		ip6-allrouters
`;
const networks = `default		0.0.0.0
loopback	127.0.0.0
link-local	169.254.0.0
`;

/** netbase.postinst. */
export function replayNetbase({ rootfs }: ReplayContext): void {
  rootfs.writeMissing('/etc/hosts', `${hosts}\n`);
  rootfs.writeMissing('/etc/networks', `${networks}\n`);
}

const modules = `# /etc/modules is obsolete and has been replaced by /etc/modules-load.d/.
# Please see modules-load.d(5) and modprobe.d(5) for details.
#
# Updating this file still works, but it is undocumented and unsupported.
`;

/** kmod.postinst. */
export function replayKmod({ rootfs }: ReplayContext): void {
  rootfs.writeMissing('/etc/modules', modules);
}

/** tzdata.postinst, with debconf's default of Etc/UTC. */
export function replayTzdata({ rootfs }: ReplayContext): void {
  if (rootfs.at('/etc/localtime') === undefined) {
    rootfs.symlink('/etc/localtime', '/usr/share/zoneinfo/Etc/UTC');
  }
}

/** dpkg.postinst: the native architecture. Its alias in /sbin is there where /usr is merged. */
export function replayDpkg({ rootfs, architecture }: ReplayContext): void {
  rootfs.write('/var/lib/dpkg/arch-native', `${architecture}\n`);
}
