/** VIRTIO 1.2, 5.4 Entropy Device. */
export const REQUEST_QUEUE = 0;
/** "Device which does not fit any defined class" (PCI Code and ID Assignment, 00h/FFh). */
export const CLASS_OTHER = 0x00ff00;
/** A device may give less than was asked for; what one `getRandomValues` gives is the bound. */
export const MAX_REQUEST = 0x1_0000;
