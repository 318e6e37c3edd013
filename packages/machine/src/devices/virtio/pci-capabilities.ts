import type { AccessSize, MmioDevice } from '../device.ts';
import type { ConfigHook, PciFunction } from '../pci/function.ts';
import * as R from './registers.ts';

/** Offsets within a capability (VIRTIO 1.2, 4.1.4, struct virtio_pci_cap). */
const CAP_BAR = 4;
const CAP_ID = 5;
const CAP_OFFSET = 8;
const CAP_LENGTH = 12;
const CAP_DATA = 16;

/**
 * Says where in BAR 0 the structures are, and in which BAR the `shared` bytes of shared memory, and opens the
 * window through configuration space.
 */
export function addVirtioCapabilities(
  pci: PciFunction,
  bar: MmioDevice,
  deviceConfigLength: number,
  shared: number,
): void {
  pci.addCapability(R.CAP_VENDOR, capability(R.CFG_COMMON, R.BAR_COMMON, R.COMMON.end));
  pci.addCapability(R.CAP_VENDOR, capability(R.CFG_ISR, R.BAR_ISR, 1));
  if (deviceConfigLength > 0) {
    pci.addCapability(R.CAP_VENDOR, capability(R.CFG_DEVICE, R.BAR_DEVICE, deviceConfigLength));
  }
  const notify = capability(R.CFG_NOTIFY, R.BAR_NOTIFY, R.BAR_SIZE - R.BAR_NOTIFY, 4);
  new DataView(notify.buffer).setUint32(CAP_DATA - 2, R.NOTIFY_MULTIPLIER, true);
  pci.addCapability(R.CAP_VENDOR, notify);
  if (shared > 0) {
    // Behind it are the upper halves of offset and length (4.1.4.7).
    const memory = capability(R.CFG_SHARED_MEMORY, 0, shared, 8);
    memory[CAP_BAR - 2] = R.SHARED_BAR;
    memory[CAP_ID - 2] = R.SHARED_ID;
    pci.addCapability(R.CAP_VENDOR, memory);
  }
  const window = capability(R.CFG_PCI, 0, 0, 4);
  const writable = new Uint8Array(window.length);
  writable[CAP_BAR - 2] = 0xff;
  writable.fill(0xff, CAP_OFFSET - 2);
  const at = pci.addCapability(R.CAP_VENDOR, window, writable);
  pci.hook = configWindow(pci, bar, at);
}

/** The body of a capability: what follows its id and next pointer. */
function capability(type: number, offset: number, length: number, extra = 0): Uint8Array {
  const body = new Uint8Array(CAP_DATA - 2 + extra);
  const view = new DataView(body.buffer);
  body[0] = body.length + 2;
  body[1] = type;
  view.setUint32(CAP_OFFSET - 2, offset, true);
  view.setUint32(CAP_LENGTH - 2, length, true);
  return body;
}

/** Access to BAR 0 through configuration space (4.1.4.9), for firmware that maps no memory. */
function configWindow(pci: PciFunction, bar: MmioDevice, at: number): ConfigHook {
  const view = new DataView(pci.state.config.buffer);
  const target = (): { offset: number; size: AccessSize } | undefined => {
    const offset = view.getUint32(at + CAP_OFFSET, true);
    const size = view.getUint32(at + CAP_LENGTH, true);
    const fits = view.getUint8(at + CAP_BAR) === 0 && offset < R.BAR_SIZE;
    if (!fits || (size !== 1 && size !== 2 && size !== 4) || offset % size) return undefined;
    return { offset, size };
  };
  return {
    read(offset) {
      const window = offset === at + CAP_DATA ? target() : undefined;
      return window && bar.read(window.offset, window.size);
    },
    write(offset, size, value) {
      const window = offset === at + CAP_DATA ? target() : undefined;
      if (window === undefined || size < window.size) return false;
      bar.write(window.offset, window.size, value);
      return true;
    },
  };
}
