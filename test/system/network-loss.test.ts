import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { fetchKernelModules } from '@anole/compose';
import { Machine, VirtioNet } from '@anole/machine';
import { formatIpv4, guestNetwork, type Link, NetworkStack, Policy } from '@anole/net';
import { benchGuest } from '../../bench/guest.ts';
import { HostOutside } from '../../packages/sandbox/src/network/host-outside.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** True now and then, the same each time. */
function chance(share: number): () => boolean {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 8 < share * 2 ** 24;
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A cable that loses frames both ways, between the stack and Debian's kernel. */
function lossyNetwork(share: number) {
  const isLost = chance(share);
  const lost = { out: 0, in: 0 };
  const device: VirtioNet = new VirtioNet({
    mac: guestNetwork.guestMac,
    peer: {
      receive(frame, offload) {
        if (!isLost()) return stack.receive(frame, offload);
        lost.out++;
        return false;
      },
      flush: () => stack.flush(),
      room: () => stack.room(),
    },
  });
  const link: Link = {
    accepts: (what) => device.accepts(what),
    send(headers, data, offload) {
      if (!isLost()) return device.send(headers, data, offload);
      lost.in++;
      return true;
    },
  };
  const policy = new Policy({ allow: ['127.0.0.1'] });
  const stack = new NetworkStack({ link, outside: new HostOutside([]), policy });
  return { device, stack, lost };
}

test('files arrive whole over a cable that loses every twentieth frame', async () => {
  const file = randomBytes(600_000);
  const received = Promise.withResolvers<string>();
  const taking = createServer(async (socket) => {
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk);
    received.resolve(sha256(Buffer.concat(chunks)));
  });
  const giving = createServer((socket) => socket.end(file));
  try {
    const [to, from] = [await listen(taking), await listen(giving)];
    const names = ['failover', 'net_failover', 'virtio_net'];
    const paths = await fetchKernelModules(names);
    const bytes = await Promise.all(paths.map((path) => readFile(path)));
    const bb = '/bin/busybox';
    const gateway = formatIpv4(guestNetwork.gateway);
    const script = [
      ...names.map((name) => `${bb} insmod /${name}.ko`),
      `${bb} ifconfig eth0 ${formatIpv4(guestNetwork.guest)} netmask 255.255.255.0 up`,
      `echo SENT $(${bb} sha256sum < ${bb})`,
      `${bb} nc ${gateway} ${to} < ${bb}`,
      `echo GOT $(${bb} nc ${gateway} ${from} </dev/null | ${bb} sha256sum)`,
    ];
    const modules = names.map((name, at) => ({ path: `${name}.ko`, bytes: bytes[at]! }));
    const { kernel, initrd } = await benchGuest(script.join('\n'), modules);
    const { device, stack, lost } = lossyNetwork(0.05);
    let console = '';
    await using machine = await Machine.create({
      kernel: await readFile(kernel),
      initrd,
      commandLine: 'console=ttyS0 quiet cryptomgr.notests',
      devices: [device],
      onSerial: (text) => {
        console += new TextDecoder().decode(text);
      },
    });
    await machine.run();
    stack.close();
    assert.equal(await received.promise, /SENT (\w+)/.exec(console)?.[1], console);
    assert.equal(/GOT (\w+)/.exec(console)?.[1], sha256(file));
    assert.ok(lost.in > 0 && lost.out > 0);
  } finally {
    taking.close();
    giving.close();
  }
});
