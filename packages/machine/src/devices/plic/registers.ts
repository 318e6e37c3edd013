/** RISC-V Platform-Level Interrupt Controller Specification 1.0.0, "Memory Map". */
export const PRIORITY = 0x00_0000;
export const PENDING = 0x00_1000;
export const ENABLE = 0x00_2000;
export const ENABLE_STRIDE = 0x80;
export const CONTEXT = 0x20_0000;
export const CONTEXT_STRIDE = 0x1000;
/** Within a context. */
export const THRESHOLD = 0x0;
export const CLAIM = 0x4;

/** Priorities are 0 (never) to 7, as on QEMU's virt. */
export const MAX_PRIORITY = 7;
