import { i53, pad, struct, u16, u32, u53 } from '@anole/bytes';

// Requests of linux/fuse.h, protocol 7.41, little-endian as the guests we serve. Each comes behind
// the header; names and data follow. `u53` refuses what no file of ours can have; handles and lock
// owners are left out because no request needs them.

export const InHeader = struct('fuse_in_header', 40, {
  /** Of the whole request, this header included. */
  length: u32,
  opcode: u32,
  /** The two halves of the request's name, echoed in the reply. */
  uniqueLow: u32,
  uniqueHigh: u32,
  nodeid: u53,
  uid: u32,
  gid: u32,
  pid: u32,
  /** Length of extensions behind the arguments, in units of 8 bytes. */
  extensionUnits: u16,
  padding: pad(2),
});

export const InitIn = struct('fuse_init_in', 16, {
  major: u32,
  minor: u32,
  maxReadahead: u32,
  flags: u32,
});

/** Behind {@link InitIn}, where the kernel has INIT_EXT. */
export const InitExtIn = struct('fuse_init_in, from flags2 on', 48, {
  flags2: u32,
  unused: pad(44),
});

export const ForgetIn = struct('fuse_forget_in', 8, { lookups: u53 });
export const BatchForgetIn = struct('fuse_batch_forget_in', 8, { count: u32, dummy: pad(4) });
export const ForgetOne = struct('fuse_forget_one', 16, { nodeid: u53, lookups: u53 });
export const MknodIn = struct('fuse_mknod_in', 16, {
  mode: u32,
  rdev: u32,
  umask: u32,
  padding: pad(4),
});
export const MkdirIn = struct('fuse_mkdir_in', 8, { mode: u32, umask: u32 });
export const RenameIn = struct('fuse_rename_in', 8, { newDirectory: u53 });
export const Rename2In = struct('fuse_rename2_in', 16, {
  newDirectory: u53,
  flags: u32,
  padding: pad(4),
});
export const LinkIn = struct('fuse_link_in', 8, { oldNodeid: u53 });

export const SetattrIn = struct('fuse_setattr_in', 88, {
  valid: u32,
  padding: pad(4),
  handle: pad(8),
  size: u53,
  lockOwner: pad(8),
  atime: i53,
  mtime: i53,
  ctime: i53,
  atimeNanoseconds: u32,
  mtimeNanoseconds: u32,
  ctimeNanoseconds: u32,
  mode: u32,
  unused4: pad(4),
  uid: u32,
  gid: u32,
  unused5: pad(4),
});

export const OpenIn = struct('fuse_open_in', 8, { flags: u32, openFlags: u32 });
/** Also of RELEASEDIR. */
export const ReleaseIn = struct('fuse_release_in', 24, {
  /** As the reply of OPEN gave it. */
  handle: u53,
  flags: u32,
  releaseFlags: u32,
  lockOwner: pad(8),
});
export const CreateIn = struct('fuse_create_in', 16, {
  flags: u32,
  mode: u32,
  umask: u32,
  openFlags: u32,
});

/** Also of READDIR and READDIRPLUS, whose offset is a position given by a former reply. */
export const ReadIn = struct('fuse_read_in', 40, {
  handle: pad(8),
  offset: u53,
  size: u32,
  readFlags: u32,
  lockOwner: pad(8),
  flags: u32,
  padding: pad(4),
});

export const WriteIn = struct('fuse_write_in', 40, {
  handle: pad(8),
  offset: u53,
  size: u32,
  writeFlags: u32,
  lockOwner: pad(8),
  flags: u32,
  padding: pad(4),
});

/** The form without FUSE_SETXATTR_EXT, which is not agreed on: nothing here knows ACLs. */
export const SetxattrIn = struct('fuse_setxattr_in', 8, { size: u32, flags: u32 });
export const GetxattrIn = struct('fuse_getxattr_in', 8, { size: u32, padding: pad(4) });

export const FallocateIn = struct('fuse_fallocate_in', 32, {
  handle: pad(8),
  offset: u53,
  length: u53,
  mode: u32,
  padding: pad(4),
});

export const LseekIn = struct('fuse_lseek_in', 24, {
  handle: pad(8),
  offset: u53,
  whence: u32,
  padding: pad(4),
});

export const SetupmappingIn = struct('fuse_setupmapping_in', 40, {
  handle: pad(8),
  /** Of the file. */
  offset: u53,
  length: u53,
  flags: u53,
  windowOffset: u53,
});

export const CopyFileRangeIn = struct('fuse_copy_file_range_in', 56, {
  handleIn: pad(8),
  offsetIn: u53,
  nodeidOut: u53,
  handleOut: pad(8),
  offsetOut: u53,
  length: u53,
  flags: u53,
});
