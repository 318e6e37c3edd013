/** VIRTIO 1.2, 5.3 Console Device. */
export const F_SIZE = 0;
export const F_MULTIPORT = 1;

/** `le16 cols, le16 rows, le32 max_nr_ports, le32 emerg_wr`. */
export const CONFIG_SIZE = 12;
export const CONFIG_COLUMNS = 0;
export const CONFIG_ROWS = 2;
export const CONFIG_MAX_PORTS = 4;

/** 5.3.2 Virtqueues: port 0, then control, then the other ports, receive before transmit. */
export const CONTROL_RECEIVE = 2;
export const CONTROL_TRANSMIT = 3;

/** 5.3.6.2: `le32 id, le16 event, le16 value`. */
export const CONTROL_SIZE = 8;
export const DEVICE_READY = 0;
export const PORT_ADD = 1;
export const PORT_READY = 3;
export const CONSOLE_PORT = 4;
export const RESIZE = 5;
/** Behind a RESIZE message; see docs/decisions/0031 for the order. */
export const RESIZE_COLUMNS = 0;
export const RESIZE_ROWS = 2;
export const PORT_OPEN = 6;
export const PORT_NAME = 7;

/** Communication controller, other. */
export const CLASS_COMMUNICATION = 0x078000;

export const QUEUE_SIZE = 64;
export const MAX_PORTS = 31;
/** The largest piece a guest may send at once: what a pipe of the largest size splices. */
export const MAX_TRANSMIT = 0x10_0000;

export function receiveQueue(port: number): number {
  return port === 0 ? 0 : 2 + 2 * port;
}

/** The port of a queue that is not a control queue. */
export function portOf(queue: number): number {
  return queue < 2 ? 0 : (queue >> 1) - 1;
}
