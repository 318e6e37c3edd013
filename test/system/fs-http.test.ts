import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { RangeServer } from '../../packages/bytes/test/range-server.ts';
import { anoleProgram } from './anole-program.ts';

const base = mkdtempSync(join(tmpdir(), 'anole-http-'));
const source = join(base, 'source');
const image = join(base, 'image.erofs');
const large = readFileSync(process.execPath).subarray(0, 3_000_000);
let server: RangeServer;
let url: string;

/** Not synchronous: the server answers from this process. */
async function anole(...args: string[]) {
  const child = spawn(process.execPath, [anoleProgram, 'fs', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err] = [child.stdout, child.stderr].map((stream) => stream.toArray());
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const [stdout, stderr] = [Buffer.concat(await out!), Buffer.concat(await err!)];
  return { status, stdout, stderr: stderr.toString() };
}

before(async () => {
  mkdirSync(join(source, 'usr/lib/deep/down'), { recursive: true });
  mkdirSync(join(source, 'usr/share'));
  for (let count = 0; count < 3000; count++) {
    writeFileSync(join(source, `usr/lib/deep/library-${count}.so.${count}`), `number ${count}\n`);
  }
  for (let count = 0; count < 500; count++) {
    writeFileSync(
      join(source, `usr/share/other-${count}`),
      large.subarray(count * 100, count * 200),
    );
  }
  writeFileSync(join(source, 'usr/lib/deep/down/large'), large);
  const { status, stderr } = await anole('mk', source, '-o', image, '--no-xattrs', '-z', 'lz4');
  assert.equal(status, 0, stderr);
  server = new RangeServer(readFileSync(image));
  url = await server.listen();
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(base, { recursive: true, force: true });
});

test('fs cat of one file at a URL fetches its blocks and little more', async () => {
  const path = '/usr/lib/deep/down/large';
  const { extents } = JSON.parse((await anole('dump', image, path, '--json')).stdout.toString());
  const blocks = extents.reduce((sum: number, { size }: { size: number }) => sum + size, 0);
  server.sent = 0;
  const { status, stdout, stderr } = await anole('cat', url, path);
  assert.equal(status, 0, stderr);
  assert.ok(stdout.equals(large));
  const more = server.sent - blocks;
  assert.ok(more <= 65_536, `${more} bytes beyond the file's own ${blocks}`);
});

test('the other verbs take URLs too', async () => {
  const listed = await anole('ls', url, '/usr');
  assert.equal(listed.stdout.toString(), 'lib\nshare\n', listed.stderr);
  const checked = await anole('check', url);
  assert.match(checked.stdout.toString(), /: sound: 0 errors/, checked.stderr);
  const compared = await anole('diff', url, source);
  assert.deepEqual([compared.status, compared.stdout.toString()], [0, ''], compared.stderr);
  const target = join(base, 'unpacked');
  const unpacked = await anole('unpack', url, target, '--no-xattrs');
  assert.equal(unpacked.status, 0, unpacked.stderr);
  assert.ok(readFileSync(join(target, 'usr/lib/deep/down/large')).equals(large));
  const summed = await anole('du', '-s', '-b', url);
  assert.match(summed.stdout.toString(), /^ *\d+ +\d+ {2}\/\n$/);
  assert.match((await anole('stat', url)).stdout.toString(), /inodes +3507/);
});

test('reading most of an image takes few requests', async () => {
  server.asked.length = 0;
  await anole('check', url);
  const { length } = server.asked;
  assert.ok(
    length < server.file.length / 100_000,
    `${length} requests for ${server.file.length} bytes`,
  );
});

test('an image that changes meanwhile is said, with the next step', async () => {
  const other = new RangeServer(readFileSync(image));
  await using _other = other;
  const address = await other.listen();
  other.before = (_, __, count) => {
    other.etag = `"${count}"`;
    return false;
  };
  const { status, stderr } = await anole('cat', address, '/usr/lib/deep/down/large');
  assert.equal(status, 1);
  assert.match(stderr, /HTTP_CHANGED/);
  assert.match(stderr, /next: .*open it again/);
  assert.equal((await anole('check', address)).status, 2);
});
