/** National Semiconductor PC16550D data sheet, table II "Summary of Registers". Byte registers. */
export const RBR_THR_DLL = 0;
export const IER_DLM = 1;
export const IIR_FCR = 2;
export const LCR = 3;
export const MCR = 4;
export const LSR = 5;
export const MSR = 6;
export const SCR = 7;

/** Divisor latch access: registers 0 and 1 are the divisor. */
export const LCR_DLAB = 0x80;

export const IER_RX = 0x01;
export const IER_TX_EMPTY = 0x02;
export const IER_LINE = 0x04;
export const IER_MASK = 0x0f;

export const IIR_NONE = 0x01;
export const IIR_TX_EMPTY = 0x02;
export const IIR_RX = 0x04;
export const IIR_LINE = 0x06;
/** Data waits below the FIFO's trigger level. */
export const IIR_RX_TIMEOUT = 0x0c;
export const IIR_FIFO = 0xc0;

export const FCR_ENABLE = 0x01;
export const FCR_CLEAR_RX = 0x02;

export const MCR_LOOP = 0x10;
export const MCR_MASK = 0x1f;

export const LSR_DATA_READY = 0x01;
export const LSR_OVERRUN = 0x02;
export const LSR_TX_EMPTY = 0x60;

/** Carrier detect, data set ready, clear to send: a line that is always up. */
export const MSR_READY = 0xb0;

export const FIFO_SIZE = 16;
