import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryTree } from '@anole/vfs';
import { RawLayout, tarOf } from '../../packages/oci/src/testing/images.ts';
import { needs, sharedBySuite } from '../../packages/oci/src/testing/tools.ts';
import { Chromium, noChromium } from '../browser/chromium.ts';
import { ModuleServer } from '../browser/module-server.ts';
import { contentOf, FILES, hashOf, nameOf, type Place, SIZE, setUp } from './image-world.ts';
import { endProcess } from './left-over.ts';
import { bootFrom, guestBusybox } from './nbd-guest.ts';

/** A service that exports an image as `web`, by names of sockets or ports, and what it listens at. */
async function exporting(
  place: Place,
  flag: '--nbd' | '--http',
  at: string,
  name = 'made:1',
  platform = 'linux/amd64',
) {
  const image = `web=docker://${place.proxy.host}/${name}`;
  await rm(join(place.directory, 'cache/blobs'), { recursive: true, force: true });
  const service = place.start('image', 'serve', '--quiet', '--platform', platform, flag, at, image);
  const event = /"event":"exports".*"at":(?:"([^"]+)"|\{[^}]*"port":(\d+)\})/;
  while (!event.test(service.said) && service.child.exitCode === null) await sleep(20);
  const [, path, port] = event.exec(service.said) ?? assert.fail(service.said);
  const stop = async () => {
    service.child.kill('SIGTERM');
    while (service.child.exitCode === null) await sleep(20);
    assert.equal(service.child.exitCode, 0, service.said);
  };
  return { ...place, service, path, port, stop };
}

const skip = needs('docker-registry', 'root', 'qemu-img', 'qemu-io');

describe('exported images', { skip }, () => {
  const suite = sharedBySuite();
  let place: Place;
  before(async () => {
    place = await setUp(suite);
  });

  it('are disks for QEMU, of which Linux mounts a copy', async () => {
    const { path, run, proxy, directory, stop } = await exporting(place, '--nbd', './web.sock');
    const uri = `nbd+unix:///web?socket=${path}`;
    const before = proxy.state.bytes;
    const first = await run('qemu-io', '-r', '-f', 'raw', '-c', 'read 1024 128', uri);
    assert.match(first.stdout, /read 128\/128/, first.stderr);
    const forOne = proxy.state.bytes - before;
    assert.ok(forOne < SIZE, `${forOne} bytes came for a superblock`);
    const copied = await run('qemu-img', 'convert', '-O', 'raw', uri, 'copy');
    assert.equal(copied.status, 0, copied.stderr);
    mkdirSync(join(directory, 'here'));
    const mounted = await run('mount', '-t', 'erofs', '-o', 'ro,loop', 'copy', 'here');
    assert.equal(mounted.status, 0, mounted.stderr);
    try {
      for (let file = 0; file < FILES; file++) {
        const { stdout } = await run('sha256sum', join('here', nameOf(file)));
        assert.equal(stdout.split(' ')[0], hashOf(contentOf(file)));
      }
    } finally {
      await run('umount', 'here');
    }
    await stop();
  });

  it('are the root of a machine, which fetches what it reads', {
    skip: needs('qemu-system-riscv64', 'cpio'),
  }, async () => {
    const { proxy, anole, directory } = place;
    const tree = new MemoryTree();
    tree.putFile('bin/busybox', await guestBusybox(), { mode: 0o755 });
    for (let file = 0; file < FILES; file++) tree.putFile(nameOf(file), contentOf(file));
    tree.putDirectory('dev');
    const raw = new RawLayout(join(directory, 'guest'));
    raw.name(
      raw.image({ platform: 'linux/riscv64', layers: [{ tar: await tarOf(tree) }] }),
      'made',
    );
    const name = `docker://${proxy.host}/guest:1`;
    const converted = await anole('image', 'convert', 'oci:guest:made', name, '-z', 'lz4');
    assert.equal(converted.status, 0, converted.stderr);
    const { path, stop } = await exporting(
      place,
      '--nbd',
      './web.sock',
      'guest:1',
      'linux/riscv64',
    );
    const before = proxy.state.bytes;
    const command = `/bin/busybox sha256sum /${nameOf(7)}; /bin/busybox touch /new; echo done`;
    const shown = await bootFrom(`nbd+unix:///web?socket=${path}`, command, directory);
    assert.ok(shown.includes(`${hashOf(contentOf(7))}  /${nameOf(7)}`), shown);
    assert.match(shown, /Read-only file system/);
    const came = proxy.state.bytes - before;
    assert.ok(came < (FILES * SIZE) / 2, `${came} bytes came`);
    await stop();
  });

  it('outlive the service for clients that come again, and never lie', async () => {
    const { path, run, pids, proxy, service, stop } = await exporting(place, '--nbd', './web.sock');
    const node = `driver=nbd,server.type=unix,server.path=${path},export=web,reconnect-delay=300`;
    const read = (at: number) =>
      run(
        'qemu-io',
        '-r',
        '--image-opts',
        '-c',
        `read -v ${at} 64`,
        `driver=raw,file.${node.replaceAll(',', ',file.')}`,
      );
    proxy.state.mode = 'lying';
    const lied = await read(2_000_000);
    assert.match(lied.stdout + lied.stderr, /error|not available/i);
    assert.match(service.said, /"event":"export".*(?:VERITY_WRONG_DATA|hash)/);
    proxy.state.mode = 'through';
    const known = await read(2_000_000);
    assert.match(known.stdout, /read 64\/64/, known.stderr);
    const copying = run(
      'qemu-img',
      'convert',
      '--image-opts',
      '-O',
      'raw',
      // It may be that the service is killed before they have come for the first time.
      `driver=raw,file.${node.replaceAll(',', ',file.')},file.open-timeout=300`,
      'copy',
    );
    await sleep(60);
    for (const pid of pids('kept')) endProcess(pid);
    const { status, stderr } = await copying;
    assert.equal(status, 0, stderr);
    const again = await run('qemu-io', '-r', '-f', 'raw', '-c', 'read -v 2000000 64', 'copy');
    const data = (text: string) => text.split('\n').filter((line) => /^[0-9a-f]{8}:/.test(line));
    assert.deepEqual(data(again.stdout), data(known.stdout));
    assert.equal(data(again.stdout).length, 4);
    await stop();
  });

  it('are read by a page in a browser, of which what is read comes', {
    skip: noChromium(),
  }, async () => {
    const { port, proxy, stop } = await exporting(place, '--http', '0');
    await using modules = new ModuleServer();
    const address = await modules.listen();
    await using browser = new Chromium();
    const page = await browser.open(address);
    const before = proxy.state.bytes;
    const seen = await page.run<{ data: string; names: string[]; listed: string[] }>(`
      const { httpSource } = await import('@anole/bytes');
      const { openErofs } = await import('@anole/erofs');
      const { findNode } = await import('@anole/vfs');
      const root = 'http://127.0.0.1:${port}/';
      const names = await (await fetch(root)).json();
      const tree = await openErofs(await httpSource(root + 'web'));
      const listed = (await (await findNode(tree, 'data')).list()).map(({ name }) => name);
      const node = await findNode(tree, ${JSON.stringify(nameOf(5))});
      const bytes = new Uint8Array(await node.read(0, node.stat.size));
      let binary = '';
      for (let at = 0; at < bytes.length; at += 8192) {
        binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
      }
      return { data: btoa(binary), names, listed };
    `);
    assert.deepEqual(seen.names, ['web']);
    assert.equal(seen.listed.length, FILES + 1);
    assert.equal(hashOf(Buffer.from(seen.data, 'base64')), hashOf(contentOf(5)));
    const came = proxy.state.bytes - before;
    assert.ok(came < 3 * SIZE, `${came} bytes came for one file of ${FILES}`);
    const url = `http://127.0.0.1:${port}/web`;
    const { status, headers } = await fetch(url, { headers: { range: 'bytes=-10' } });
    assert.equal(status, 206);
    assert.match(headers.get('content-range') ?? '', /^bytes \d+-\d+\/\d+$/);
    assert.equal((await fetch(url, { headers: { range: 'bytes=999999999-' } })).status, 416);
    assert.equal((await fetch(`${url}2`)).status, 404);
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    await stop();
  });

  it('that cannot be served end the command', async () => {
    const { anole } = place;
    const taken = await anole('image', 'serve', '--nbd', '/nowhere/web.sock', 'web=docker://h/n:1');
    assert.equal(taken.status, 1, taken.stderr);
    assert.match(taken.stderr, /\/nowhere\/web.sock/);
    assert.equal((await anole('image', 'serve', '--nbd', '0')).status, 2);
    assert.equal((await anole('image', 'serve', 'web=docker://h/n:1')).status, 2);
  });
});
