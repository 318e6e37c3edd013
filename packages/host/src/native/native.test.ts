import assert from 'node:assert/strict';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  addSeals,
  connectUnix,
  eventCounter,
  hasNative,
  isOpenElsewhere,
  mapFile,
  memoryFile,
  peerCredentials,
  receiveDescriptors,
  Seal,
  sealsOf,
  sendDescriptors,
  unixPair,
  writeSmall,
} from './index.ts';

const skip = hasNative() ? false : 'koffi is not installed for this platform';

test('a sealed memory file keeps its size, and later mappings cannot write', { skip }, () => {
  const fd = memoryFile('anole-test', 8192);
  using mapping = mapFile(fd, 8192, { writable: true });
  addSeals(fd, Seal.shrink | Seal.grow | Seal.futureWrite | Seal.seal);
  assert.equal(sealsOf(fd), Seal.shrink | Seal.grow | Seal.futureWrite | Seal.seal);
  assert.throws(() => ftruncateSync(fd, 4096), { code: 'EPERM' });
  assert.throws(() => addSeals(fd, Seal.write), { code: 'HOST_NOT_PERMITTED' });
  assert.throws(() => mapFile(fd, 8192, { writable: true }), { code: 'HOST_NOT_PERMITTED' });
  using second = mapFile(fd, 4096, { offset: 4096 });
  new Uint32Array(mapping.view(0, 8192))[1025] = 0xfe06;
  assert.equal(new Uint32Array(second.view(4, 4))[0], 0xfe06);
  closeSync(fd);
});

test('views of a closed mapping are empty, and closing twice is harmless', { skip }, () => {
  const fd = memoryFile('anole-test', 4096);
  const mapping = mapFile(fd, 4096, { writable: true });
  closeSync(fd);
  const view = new Uint8Array(mapping.view(0, 64));
  view[0] = 1;
  assert.throws(() => mapping.view(4090, 8), RangeError);
  mapping.close();
  mapping.close();
  assert.equal(view.length, 0);
  view[0] = 2;
  assert.equal(view[0], undefined);
});

test('what the kernel refuses is a coded error with the name of errno', { skip }, () => {
  assert.throws(() => mapFile(1 << 20, 4096), {
    code: 'HOST_IO',
    message: /^Cannot map a file: EBADF/,
  });
  assert.throws(() => sealsOf(eventCounter()), { code: 'HOST_IO' });
});

test('an event counter adds what is written and gives it once', { skip }, () => {
  const fd = eventCounter(2);
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(40n);
  writeSync(fd, word);
  readSync(fd, word);
  assert.equal(word.readBigUInt64LE(), 42n);
  assert.throws(() => readSync(fd, word), { code: 'EAGAIN' });
  closeSync(fd);
});

test('descriptors go over a Unix socket with the bytes they belong to', { skip }, () => {
  const [here, there] = unixPair();
  assert.equal(receiveDescriptors(there, 16), undefined);
  const fd = memoryFile('anole-test', 4096);
  assert.equal(sendDescriptors(here, Buffer.from('take'), [fd, fd, fd]), 4);
  closeSync(fd);
  const received = receiveDescriptors(there, 16);
  assert.equal(String(received?.bytes), 'take');
  assert.equal(received?.descriptors.length, 3);
  for (const each of received!.descriptors) {
    assert.equal(sealsOf(each), 0);
    closeSync(each);
  }
  assert.ok(writeSmall(here, Buffer.from('plain')));
  assert.deepEqual(receiveDescriptors(there, 16)?.descriptors, []);
  closeSync(here);
  assert.equal(receiveDescriptors(there, 16)?.bytes.length, 0);
  closeSync(there);
});

test('more descriptors than are wanted are refused, and none of them leaks', { skip }, () => {
  const [here, there] = unixPair();
  const targetOf = (name: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      // That of the listing itself.
      return undefined;
    }
  };
  // What else Node opens and closes in the meantime is no matter.
  const mine = targetOf(String(here));
  const copies = () => readdirSync('/proc/self/fd').filter((name) => targetOf(name) === mine);
  sendDescriptors(here, Buffer.from('many'), new Array(40).fill(here));
  assert.throws(() => receiveDescriptors(there, 16), { code: 'HOST_IO' });
  assert.deepEqual(copies(), [String(here)]);
  closeSync(here);
  closeSync(there);
});

test('a Unix socket says who its peer is, and that nobody listens', { skip }, async () => {
  const name = `\0anole-test-${process.pid}`;
  assert.equal(connectUnix(name), undefined);
  const server = createServer().listen(name);
  await new Promise((resolve) => server.once('listening', resolve));
  const fd = connectUnix(name);
  assert.ok(fd !== undefined);
  const { pid, uid, gid } = peerCredentials(fd);
  assert.deepEqual([pid, uid, gid], [process.pid, process.getuid!(), process.getgid!()]);
  closeSync(fd);
  server.close();
});

test('a file is known to be open elsewhere, by copies of its descriptor not', {
  skip,
}, (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-native-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'file');
  const fd = openSync(path, 'w+');
  assert.equal(isOpenElsewhere(fd), false);
  const other = openSync(path, 'r');
  assert.equal(isOpenElsewhere(fd), true);
  assert.equal(isOpenElsewhere(other), true);
  closeSync(other);
  const [left, right] = unixPair();
  sendDescriptors(left, Uint8Array.of(1), [fd]);
  const [copy] = receiveDescriptors(right, 1)!.descriptors;
  assert.equal(isOpenElsewhere(fd), false);
  for (const each of [fd, copy!, left, right]) closeSync(each);
});
