import { closeSync, openSync, writeSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import { hostError } from '@anole/host';
import { VirtioNet } from '@anole/machine/runtime';
import {
  Capture,
  guestNetwork,
  type NetworkEvent,
  NetworkStack,
  Policy,
  type StreamEvents,
} from '@anole/net';
import { SandboxError } from '../errors.ts';
import { EventThrottle } from './event-throttle.ts';
import { HostOutside } from './host-outside.ts';
import { HostStream } from './host-stream.ts';
import type { NetworkOrder, PublishedPort } from './options.ts';
import { PortDuplex } from './port-duplex.ts';

/** A machine's network: its device, and what listens for it on this computer. */
export interface GuestNetwork extends Disposable {
  readonly device: VirtioNet;
  readonly stack: NetworkStack;
  /** As they are: without a 0. */
  readonly ports: readonly PublishedPort[];
  /** Connects what comes through a port of messages to a port of the guest. */
  connect(port: MessagePort, guest: number): void;
}

/**
 * Makes the network of a machine, in its thread. Disposing of it closes all connections and ports.
 *
 * @throws SandboxError `SANDBOX_BAD_PORT`; HostError for a capture file that cannot be made
 */
export async function serveNetwork(
  order: NetworkOrder,
  onEvent: (event: NetworkEvent) => void,
): Promise<GuestNetwork> {
  const { guestMac, mtu } = guestNetwork;
  const device: VirtioNet = new VirtioNet({
    mac: guestMac,
    mtu,
    peer: {
      receive: (frame, offload) => stack.receive(frame, offload),
      flush: () => stack.flush(),
      room: () => stack.room(),
    },
  });
  const throttle = new EventThrottle(onEvent);
  using resources = new DisposableStack();
  const stack = new NetworkStack({
    link: device,
    outside: new HostOutside(order.dns),
    policy: new Policy(order.policy),
    onEvent: (event) => {
      if (order.events) throttle.add(event);
    },
    ...(order.capture !== undefined && { capture: captureTo(order.capture, resources, onEvent) }),
  });
  resources.defer(() => stack.close());
  const ports: PublishedPort[] = [];
  for (const port of order.publish) ports.push(await publish(stack, port, resources));
  const kept = resources.move();
  const connect = (port: MessagePort, guest: number) => {
    const duplex = new PortDuplex(port);
    // Told to the stack, too; a stream without a listener would end the thread.
    duplex.on('error', () => {});
    if (!stack.accept(guest, (events) => new HostStream(duplex, events))) duplex.destroy();
  };
  return { device, stack, ports, connect, [Symbol.dispose]: () => kept.dispose() };
}

async function publish(
  stack: NetworkStack,
  port: PublishedPort,
  resources: DisposableStack,
): Promise<PublishedPort> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const open = (events: StreamEvents) => new HostStream(socket, events);
    if (!stack.accept(port.guest, open)) socket.destroy();
  });
  await listening(server, port);
  resources.defer(() => server.close());
  return { ...port, port: (server.address() as AddressInfo).port };
}

async function listening(server: Server, { host, port }: PublishedPort): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'another program has it' : String(code);
    throw new SandboxError('SANDBOX_BAD_PORT', `Cannot publish ${host}:${port}: ${why}`, {
      cause,
      hint: 'Choose another port, or 0 for any that is free',
    });
  }
}

function captureTo(
  path: string,
  resources: DisposableStack,
  onEvent: (event: NetworkEvent) => void,
): Capture {
  let file: number | undefined;
  try {
    file = openSync(path, 'w', 0o600);
  } catch (error) {
    throw hostError(error, `write the capture ${path}`);
  }
  const close = () => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  resources.defer(close);
  return new Capture((bytes) => {
    if (file === undefined) return;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    } catch (error) {
      // The thread has other machines, too, and this one can go on.
      close();
      const { message } = hostError(error, `write the capture ${path}`);
      onEvent({ type: 'capture', allowed: false, reason: message });
    }
  });
}
