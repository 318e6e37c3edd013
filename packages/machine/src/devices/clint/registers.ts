/** RISC-V ACLINT 1.0-rc4 in the layout of SiFive's CLINT, hart 0. */
export const MSIP = 0x0000;
export const MTIMECMP = 0x4000;
export const MTIME = 0xbff8;
