/** Tag of the device with the image's root. */
export const rootTag = 'root';

/** Directories that must be in the root before the guest starts: places of mounts. */
export const mountPoints = ['proc', 'sys', 'dev', 'run', 'run/anole'] as const;

/** What the guest's first process mounts, in order, as its /etc/fstab: fstab(5). */
export const mounts = `${rootTag} /newroot virtiofs rw 0 0
proc /newroot/proc proc nosuid,nodev,noexec 0 0
sysfs /newroot/sys sysfs nosuid,nodev,noexec 0 0
devtmpfs /newroot/dev devtmpfs mode=0755,nosuid 0 0
/anole /newroot/run/anole none bind 0 0
`;

/**
 * The kernel's command line. Its console is hvc0, which nobody reads but to explain a panic; what
 * costs boot time and protects nobody from anybody in a guest of one user is off: self-tests of
 * ciphers, zeroing of pages that nobody else had, security modules without a policy, random numbers for
 * the kernel's stack in each system call, accounts of pressure, accounts of memory by control group, checks of
 * what is copied to programs ([decision 0240](../../../../docs/decisions/0240-what-the-agent-does-not-interpret.md)).
 */
export const kernelCommandLine = [
  'console=hvc0',
  'earlycon=sbi',
  'quiet',
  'panic=-1',
  'cryptomgr.notests',
  'init_on_alloc=0',
  'lsm=',
  'randomize_kstack_offset=off',
  'psi=0',
  'cgroup_disable=memory',
  'hardened_usercopy=off',
  'random.trust_bootloader=on',
].join(' ');
