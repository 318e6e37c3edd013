import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type CompressionOptions, writeErofs } from '@anole/erofs';
import { zlibEncoders } from '@anole/host';
import { MemoryTree } from '@anole/vfs';
import { RangeServer } from '../../packages/bytes/test/range-server.ts';
import { collect } from '../../packages/vfs/test/trees.ts';
import { Chromium, noChromium } from './chromium.ts';
import { ModuleServer } from './module-server.ts';

const program = readFileSync(process.execPath).subarray(5_000_000, 7_000_000);

async function imageOf(compression: CompressionOptions): Promise<Uint8Array> {
  const tree = new MemoryTree();
  tree.putFile('usr/bin/program', program);
  tree.putFile('usr/bin/other', program.subarray(1000, 500_000));
  tree.putFile('etc/motd', new TextEncoder().encode('hello, browser\n'));
  return collect(await writeErofs(tree, { compression }));
}

/** A server of another origin, as browsers ask for it. */
function allowOthers(server: RangeServer): void {
  server.headers = {
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'content-range, etag',
  };
  server.before = ({ method }, response) => {
    if (method !== 'OPTIONS') return false;
    response.writeHead(204, {
      ...server.headers,
      'access-control-allow-headers': 'range, if-range',
    });
    response.end();
    return true;
  };
}

const compressions: readonly CompressionOptions[] = [
  { compressor: 'lz4', pclusterSize: 16_384 },
  { compressor: 'zstd', pclusterSize: 65_536, encoders: zlibEncoders },
  { compressor: 'deflate', pclusterSize: 65_536, encoders: zlibEncoders },
];

describe('in a browser', { skip: noChromium() }, () => {
  for (const compression of compressions) {
    test(`an image of ${compression.compressor} at a URL is opened, listed and read`, async () => {
      await using images = new RangeServer(await imageOf(compression));
      allowOthers(images);
      const url = await images.listen();
      await using modules = new ModuleServer();
      const address = await modules.listen();
      await using browser = new Chromium();
      const page = await browser.open(address);
      const seen = await page.run<{ names: string[]; size: number; data: string; motd: string }>(`
        const { httpSource } = await import('@anole/bytes');
        const { openErofs } = await import('@anole/erofs');
        const { findNode } = await import('@anole/vfs');
        const source = await httpSource(${JSON.stringify(url)});
        const tree = await openErofs(source);
        const names = (await (await findNode(tree, 'usr/bin')).list()).map(({ name }) => name);
        const motd = await findNode(tree, 'etc/motd');
        const node = await findNode(tree, 'usr/bin/program');
        const bytes = new Uint8Array(await node.read(0, node.stat.size));
        const text = new TextDecoder().decode(await motd.read(0, motd.stat.size));
        // Pages that are not secure have no crypto.subtle.
        let binary = '';
        for (let at = 0; at < bytes.length; at += 8192) {
          binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
        }
        return { names, size: bytes.length, data: btoa(binary), motd: text };
      `);
      assert.deepEqual(seen.names, ['other', 'program']);
      assert.equal(seen.motd, 'hello, browser\n');
      assert.equal(seen.size, program.length);
      const back = Buffer.from(seen.data, 'base64');
      const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
      assert.equal(digest(back), digest(program));
      assert.deepEqual(page.console, []);
      // Not all of the image came: the other program stayed where it is.
      assert.ok(images.sent < images.file.length - 50_000, `${images.sent} bytes`);
    });
  }

  test('a server that gives files whole only is said', async () => {
    await using images = new RangeServer(new Uint8Array(100_000));
    allowOthers(images);
    images.before = (_, response) => {
      response.writeHead(200, { 'access-control-allow-origin': '*' });
      response.end(images.file);
      return true;
    };
    const url = await images.listen();
    await using modules = new ModuleServer();
    const address = await modules.listen();
    await using browser = new Chromium();
    const page = await browser.open(address);
    const code = await page.run(`
      const { httpSource } = await import('@anole/bytes');
      return await httpSource(${JSON.stringify(url)}).then(() => 'opened', (error) => error.code);
    `);
    assert.equal(code, 'HTTP_NO_RANGES');
  });
});
