/** VIRTIO 1.2, 5.11 File System Device. */
export const TAG_SIZE = 36;
/** `le32 num_request_queues` behind the tag. */
export const CONFIG_SIZE = 40;
/** Queue 0 is the high-priority one. */
export const FIRST_REQUEST_QUEUE = 1;

/** Mass storage controller, other. */
export const CLASS_STORAGE = 0x018000;

export const QUEUE_SIZE = 1024;
/** The largest request: 256 pages of data (FUSE_MAX_MAX_PAGES) and the headers before them. */
export const MAX_REQUEST = 0x10_0000 + 0x1_0000;
/** Bytes of requests that may wait for a slow handler; beyond, the queue is left alone. */
export const MAX_IN_FLIGHT = 0x400_0000;
