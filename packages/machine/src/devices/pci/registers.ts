/** PCI Local Bus Specification 3.0, section 6.1 "Configuration Space Organization", header type 0. */
export const VENDOR_ID = 0x00;
export const DEVICE_ID = 0x02;
export const COMMAND = 0x04;
export const STATUS = 0x06;
export const REVISION_ID = 0x08;
export const BAR_0 = 0x10;
export const BAR_END = 0x28;
export const SUBSYSTEM_VENDOR_ID = 0x2c;
export const SUBSYSTEM_ID = 0x2e;
export const CAPABILITIES = 0x34;
export const INTERRUPT_LINE = 0x3c;
export const INTERRUPT_PIN = 0x3d;
/** First byte behind the header: capabilities go here. */
export const HEADER_SIZE = 0x40;

export const COMMAND_MEMORY = 0x0002;
export const COMMAND_MASTER = 0x0004;
export const COMMAND_INTERRUPT_DISABLE = 0x0400;

export const STATUS_INTERRUPT = 0x0008;
export const STATUS_CAPABILITIES = 0x0010;

/** Memory BAR, 64-bit. */
export const BAR_MEMORY_64 = 0x4;
export const BAR_PREFETCHABLE = 0x8;

export const CONFIG_SIZE = 0x100;
/** ECAM (PCI Express Base 3.0, 7.2.2): address bits 19:15 device, 14:12 function, 11:0 register. */
export const ECAM_SLOT_SHIFT = 15;
export const ECAM_FUNCTION_SHIFT = 12;
export const SLOTS = 32;
