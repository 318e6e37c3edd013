/** Goldfish RTC: platform/external/qemu, docs/GOLDFISH-VIRTUAL-HARDWARE.TXT, "Goldfish real-time clock". */
/** Low half of nanoseconds since 1970; reading it latches the high half. */
export const TIME_LOW = 0x00;
export const TIME_HIGH = 0x04;
export const ALARM_LOW = 0x08;
/** Writing the low half after this one arms the alarm. */
export const ALARM_HIGH = 0x0c;
export const IRQ_ENABLED = 0x10;
export const CLEAR_ALARM = 0x14;
export const ALARM_STATUS = 0x18;
export const CLEAR_INTERRUPT = 0x1c;
