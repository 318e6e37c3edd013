import { MachineError } from '../../errors.ts';
import type { ByteSink } from '../device.ts';
import { type DescriptorChain, gather, scatter } from '../virtio/chain.ts';
import type { VirtioDevice, VirtioHost } from '../virtio/device.ts';
import { misused } from '../virtio/queue.ts';
import { TYPE_CONSOLE } from '../virtio/registers.ts';
import { type Control, controlMessage, parseControl } from './control.ts';
import { ConsolePort, type ConsolePortOptions } from './port.ts';
import * as R from './registers.ts';

/** Control messages that may wait for the guest; beyond, its own are left in their queue. */
const MAX_CONTROL_WAITING = 256;

/**
 * Console device (VIRTIO 1.2, 5.3) with several ports. Port 0 is a terminal (`/dev/hvc0`) for
 * drivers without F_MULTIPORT.
 *
 * @example
 * const console = new VirtioConsole([
 *   { console: true, onData: (bytes) => void process.stdout.write(bytes) },
 *   { name: 'agent', onData: (bytes) => agent.receive(bytes) },
 * ]);
 * await console.ports[1].write(request);
 */
export class VirtioConsole implements VirtioDevice {
  readonly type = TYPE_CONSOLE;
  readonly classCode = R.CLASS_COMMUNICATION;
  readonly features = [R.F_SIZE, R.F_MULTIPORT];
  readonly queueSizes: readonly number[];
  readonly config = new Uint8Array(R.CONFIG_SIZE);
  readonly ports: readonly ConsolePort[];
  /** Sees what port 0 sends, before its owner does: the kernel's own messages are there. */
  observe: ByteSink | undefined;
  readonly #waiting: Control[] = [];
  #host: VirtioHost | undefined;

  /** @throws MachineError `MACHINE_BAD_OPTION` without ports or with more than 31 */
  constructor(ports: readonly ConsolePortOptions[]) {
    if (ports.length === 0 || ports.length > R.MAX_PORTS) {
      throw new MachineError('MACHINE_BAD_OPTION', `Cannot have ${ports.length} console ports`, {
        hint: `give 1 to ${R.MAX_PORTS}`,
      });
    }
    const events = {
      resized: (port: ConsolePort) => this.#sendSize(port),
      sent: (port: ConsolePort, bytes: Uint8Array) => {
        if (port.id === 0) this.observe?.(bytes);
      },
    };
    this.ports = ports.map((options, id) => new ConsolePort(id, options, events));
    this.queueSizes = new Array<number>(2 * (ports.length + 1)).fill(R.QUEUE_SIZE);
    new DataView(this.config.buffer).setUint32(R.CONFIG_MAX_PORTS, ports.length, true);
    this.#updateConfig();
  }

  get state(): object {
    return { ports: this.ports.map((port) => port.state) };
  }

  get busy(): boolean {
    return this.#waiting.length > 0 || this.ports.some((port) => port.busy);
  }

  attach(host: VirtioHost): void {
    this.#host = host;
    for (const port of this.ports) port.attach(host);
  }

  start(): void {
    if (!this.#multiport) this.ports[0]!.setGuestOpen(true);
  }

  notify(queue: number): void {
    if (queue === R.CONTROL_RECEIVE || queue === R.CONTROL_TRANSMIT) {
      if (this.#multiport) this.#exchangeControl();
      return;
    }
    const port = this.ports[R.portOf(queue)]!;
    if (queue & 1) port.drain();
    else port.deliver();
  }

  reset(): void {
    this.#waiting.length = 0;
    for (const port of this.ports) port.reset();
  }

  stop(): void {
    for (const port of this.ports) port.stop();
  }

  get #multiport(): boolean {
    return this.#host!.negotiated(R.F_MULTIPORT);
  }

  #exchangeControl(): void {
    this.#flushControl();
    this.#host!.serve(
      R.CONTROL_TRANSMIT,
      (chain) => this.#takeControl(chain),
      () => this.#waiting.length < MAX_CONTROL_WAITING,
    );
  }

  #takeControl(chain: DescriptorChain): void {
    const host = this.#host!;
    if (chain.readableLength < R.CONTROL_SIZE || chain.readableLength > R.MAX_TRANSMIT) {
      throw misused(`a control message of ${chain.readableLength} bytes`);
    }
    const bytes = new Uint8Array(chain.readableLength);
    gather(host.memory, chain, bytes);
    host.queue(R.CONTROL_TRANSMIT).complete(chain, 0);
    this.#handleControl(parseControl(bytes));
    this.#flushControl();
  }

  #handleControl({ id, event, value }: Control): void {
    if (event === R.DEVICE_READY) {
      if (value === 1) for (const port of this.ports) this.#send(port, R.PORT_ADD, 1);
      return;
    }
    const port = this.ports[id];
    if (port === undefined) return;
    if (event === R.PORT_OPEN) port.setGuestOpen(value === 1);
    else if (event === R.PORT_READY && value === 1) this.#introduce(port);
  }

  /** Tells the driver what a port is, once it is ready for it. */
  #introduce(port: ConsolePort): void {
    const { console, name } = port.options;
    if (console) this.#send(port, R.CONSOLE_PORT, 1);
    this.#sendSize(port);
    if (name !== undefined) this.#send(port, R.PORT_NAME, 1, new TextEncoder().encode(name));
    this.#send(port, R.PORT_OPEN, 1);
  }

  #sendSize(port: ConsolePort): void {
    if (port.id === 0) this.#updateConfig();
    const { size } = port;
    const host = this.#host;
    if (size === undefined || !port.options.console || !host?.live) return;
    if (!this.#multiport) {
      host.configChanged();
      return;
    }
    // Only the newest size counts: one that still waits is replaced.
    const stale = this.#waiting.findIndex((m) => m.event === R.RESIZE && m.id === port.id);
    if (stale >= 0) this.#waiting.splice(stale, 1);
    const extra = new Uint8Array(4);
    new DataView(extra.buffer).setUint16(R.RESIZE_COLUMNS, size.columns, true);
    new DataView(extra.buffer).setUint16(R.RESIZE_ROWS, size.rows, true);
    this.#send(port, R.RESIZE, 0, extra);
    host.guard(() => this.#flushControl());
  }

  #updateConfig(): void {
    const view = new DataView(this.config.buffer);
    const size = this.ports[0]!.size;
    view.setUint16(R.CONFIG_COLUMNS, size?.columns ?? 0, true);
    view.setUint16(R.CONFIG_ROWS, size?.rows ?? 0, true);
  }

  #send(port: ConsolePort, event: number, value: number, extra?: Uint8Array): void {
    this.#waiting.push({ id: port.id, event, value, ...(extra && { extra }) });
  }

  #flushControl(): void {
    const host = this.#host!;
    const queue = host.queue(R.CONTROL_RECEIVE);
    while (this.#waiting.length > 0 && queue.hasNext) {
      const chain = queue.pop();
      if (chain === undefined) return;
      const message = controlMessage(this.#waiting.shift()!);
      if (chain.writableLength < message.length) throw misused('too small a control buffer');
      queue.complete(chain, scatter(host.memory, chain, [message]));
    }
  }
}
