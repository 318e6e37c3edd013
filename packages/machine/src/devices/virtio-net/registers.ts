/** VIRTIO 1.2, 5.1 Network Device. */

/** 5.1.3 Feature bits. */
export const F_CSUM = 0;
export const F_GUEST_CSUM = 1;
export const F_MTU = 3;
export const F_MAC = 5;
export const F_GUEST_TSO4 = 7;
export const F_GUEST_TSO6 = 8;
export const F_HOST_TSO4 = 11;
export const F_HOST_TSO6 = 12;
export const F_MRG_RXBUF = 15;
export const F_STATUS = 16;

/** 5.1.2 Virtqueues, without multiqueue. */
export const RECEIVE_QUEUE = 0;
export const TRANSMIT_QUEUE = 1;
export const QUEUE_SIZE = 256;

/** 5.1.4 `u8 mac[6], le16 status, le16 max_virtqueue_pairs, le16 mtu`. */
export const CONFIG_SIZE = 12;
export const CONFIG_STATUS = 6;
export const CONFIG_MTU = 10;
export const STATUS_LINK_UP = 1;

/**
 * 5.1.6 struct virtio_net_hdr: `u8 flags, u8 gso_type, le16 hdr_len, le16 gso_size, le16 csum_start,
 * le16 csum_offset, le16 num_buffers`.
 */
export const HEADER_SIZE = 12;
export const HEADER_GSO_TYPE = 1;
export const HEADER_LENGTH = 2;
export const HEADER_GSO_SIZE = 4;
export const HEADER_CSUM_START = 6;
export const HEADER_CSUM_OFFSET = 8;
export const HEADER_BUFFERS = 10;
export const FLAG_NEEDS_CSUM = 1;
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** Or'ed to the type where the segments' first carries CWR. */
export const GSO_ECN = 0x80;

/** Network controller, Ethernet. */
export const CLASS_ETHERNET = 0x020000;

/** The largest frame with offloads: an IP packet of 65535 bytes behind an Ethernet header (5.1.6.3). */
export const MAX_FRAME = 14 + 65535;
