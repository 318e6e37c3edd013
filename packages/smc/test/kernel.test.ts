import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { viewOf } from '@anole/bytes';
import { closeDescriptor, hasNative, smcSocket } from '@anole/host/native';
import net, { smcState } from '@anole/smc/net';
import fc from 'fast-check';
import { parseKernelSocket } from '../src/kernel/sockets.ts';
import {
  Attribute,
  DiagFallback,
  DiagMessage,
  DiagMode,
  FALLBACK_ATTRIBUTE,
} from '../src/layout/diag.ts';

/** As the kernel sends it: another attribute goes first. */
function message(mode: number, reason = 0, peerDiagnosis = 0): Uint8Array {
  const bytes = new Uint8Array(DiagMessage.size + 8 + Attribute.size + DiagFallback.size);
  const view = viewOf(bytes);
  Object.assign(DiagMessage.at(view), { family: 43, mode, inode: 77n });
  Attribute.write(view, DiagMessage.size, { length: 5, type: 3 });
  const length = Attribute.size + DiagFallback.size;
  Attribute.write(view, DiagMessage.size + 8, { length, type: FALLBACK_ATTRIBUTE });
  DiagFallback.write(view, DiagMessage.size + 12, { reason, peerDiagnosis });
  return bytes;
}

test("the kernel's sockets are told apart, and why one fell back", () => {
  assert.deepEqual(parseKernelSocket(message(DiagMode.smcR)), { inode: 77n, mode: 'smc-r' });
  assert.deepEqual(parseKernelSocket(message(DiagMode.smcD)), { inode: 77n, mode: 'smc-d' });
  const alone = parseKernelSocket(message(DiagMode.tcp, 0x03010000));
  assert.equal(alone?.reason?.reason, 'the peer does not speak SMC');
  const declined = parseKernelSocket(message(DiagMode.tcp, 0x05000000, 0x03030008));
  assert.equal(declined?.mode, 'tcp');
  assert.equal(declined?.reason?.code, 0x03030008);
});

test('what the kernel says is read within its bounds, however it is cut or changed', () => {
  const whole = message(DiagMode.tcp, 0x03010000);
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (end, at, value) => {
      const bytes = whole.slice(0, end);
      if (at < end) bytes[at] = value;
      const socket = parseKernelSocket(bytes);
      assert.equal(socket === undefined, end < DiagMessage.size);
    }),
    { seed: 1, numRuns: 500 },
  );
});

/** Whether this kernel has sockets of SMC: then the tests in test/interop say more. */
function hasSmc(): boolean {
  const fd = smcSocket('ipv4');
  if (fd !== undefined) closeDescriptor(fd);
  return fd !== undefined;
}
const skip = !hasNative()
  ? 'koffi is not installed for this platform'
  : hasSmc() && 'this kernel has sockets of SMC';

test('a kernel without sockets of SMC changes nothing but the reason', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'policy.json');
  writeFileSync(file, '{ "kernel": true }');
  process.env['ANOLE_SMC_POLICY'] = file;
  t.after(() => delete process.env['ANOLE_SMC_POLICY']);
  const server = net.createServer((socket) => socket.end('bye')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const near = net.connect(port, '127.0.0.1');
  assert.equal(String((await near.toArray()).join('')), 'bye');
  assert.equal(smcState(near)?.transport, 'smc-d');
  // 192.0.2.0/24 is nobody's (RFC 5737): the reason is known before it connects.
  const far = net.connect(port, '192.0.2.1').on('error', () => {});
  await setImmediate();
  assert.equal(smcState(far)?.reason?.name, 'noKernel');
  far.destroy();
});
