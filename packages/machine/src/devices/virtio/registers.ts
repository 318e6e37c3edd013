/** Virtual I/O Device (VIRTIO) Version 1.2; sections are named where the numbers are. */

/** 2.1 Device Status Field. */
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_NEEDS_RESET = 64;

/** 6 Reserved Feature Bits, by number. */
export const F_INDIRECT_DESC = 28;
export const F_EVENT_IDX = 29;
export const F_VERSION_1 = 32;

/** 2.7.5 The Virtqueue Descriptor Table. */
export const DESCRIPTOR_SIZE = 16;
export const DESC_NEXT = 1;
export const DESC_WRITE = 2;
export const DESC_INDIRECT = 4;

/** 2.7.6 The Virtqueue Available Ring. */
export const AVAIL_NO_INTERRUPT = 1;

/** 4.1.2 PCI Device Discovery. */
export const PCI_VENDOR = 0x1af4;
export const PCI_DEVICE_BASE = 0x1040;

/** 4.1.4 Virtio Structure PCI Capabilities. */
export const CAP_VENDOR = 0x09;
export const CFG_COMMON = 1;
export const CFG_NOTIFY = 2;
export const CFG_ISR = 3;
export const CFG_DEVICE = 4;
export const CFG_PCI = 5;
export const CFG_SHARED_MEMORY = 8;

/** 4.1.4.3 Common configuration structure layout. */
export const COMMON = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configMsixVector: 0x10,
  numQueues: 0x12,
  deviceStatus: 0x14,
  configGeneration: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueMsixVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOff: 0x1e,
  queueDesc: 0x20,
  queueDriver: 0x28,
  queueDevice: 0x30,
  end: 0x38,
} as const;

export const NO_VECTOR = 0xffff;

/** 4.1.4.5 ISR status capability. */
export const ISR_QUEUE = 1;
export const ISR_CONFIG = 2;

/** Our BAR 0: each structure in a page of its own. */
export const BAR_COMMON = 0x0000;
export const BAR_ISR = 0x1000;
export const BAR_DEVICE = 0x2000;
export const BAR_NOTIFY = 0x3000;
export const BAR_SIZE = 0x4000;
export const NOTIFY_MULTIPLIER = 4;

/** The BAR of shared memory, where there is some, and the id of that. */
export const SHARED_BAR = 2;
export const SHARED_ID = 0;

/** 5 Device Types. */
export const TYPE_NETWORK = 1;
export const TYPE_CONSOLE = 3;
export const TYPE_ENTROPY = 4;
export const TYPE_FILE_SYSTEM = 26;
