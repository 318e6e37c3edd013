import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { AnoleError, type Source, viewOf } from '@anole/bytes';
import fc from 'fast-check';
import { needs, temporary } from '../../oci/src/testing/tools.ts';
import type { Exports } from '../src/node/export/exports.ts';
import {
  ExportFlag,
  Greeting,
  OptionHeader,
  Request,
  SimpleReply,
} from '../src/node/export/nbd-layout.ts';
import { serveNbd } from '../src/node/export/nbd-session.ts';

const SIZE = 3_000_320;
const disk = createHash('shake256', { outputLength: SIZE }).update('disk').digest();

/** What is served, and what went wrong. */
function exportsOf(source: Source = { size: SIZE, read: (at, n) => disk.slice(at, at + n) }) {
  const failures: unknown[] = [];
  const exports: Exports = {
    names: ['web', 'broken'],
    async open(name) {
      if (name === 'broken') throw new Error('it is not there');
      return { source, digest: `sha256:${name}` };
    },
  };
  return { exports, failures };
}

async function serve(test: TestContext, source?: Source) {
  const { exports, failures } = exportsOf(source);
  const server = createServer((client) => {
    const onFailure = (_: string, error: unknown) => failures.push(error);
    serveNbd(client, exports, { onFailure }).catch((error: unknown) => failures.push(error));
  });
  const clients = new Set<Socket>();
  server.on('connection', (client: Socket) => clients.add(client));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  test.after(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, uri: `nbd://127.0.0.1:${port}/web`, failures };
}

async function run(program: string, ...args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 600_000 });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece: Buffer) => {
      said += piece;
    });
  }
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, said };
}

describe('a disk over NBD', () => {
  it('is read by QEMU as it is', { skip: needs('qemu-img') }, async (test) => {
    const { uri } = await serve(test);
    const copy = join(temporary(test), 'copy');
    const info = await run('qemu-img', 'info', '--output=json', uri);
    assert.equal(JSON.parse(info.said)['virtual-size'], SIZE, info.said);
    const { status, said } = await run('qemu-img', 'convert', '-O', 'raw', uri, copy);
    assert.equal(status, 0, said);
    assert.ok(readFileSync(copy).equals(disk));
  });

  it('is read only, and bounded', { skip: needs('qemu-io') }, async (test) => {
    const { uri, failures } = await serve(test);
    const write = await run('qemu-io', '-f', 'raw', '-c', 'write 0 512', uri);
    assert.match(write.said, /read.?only|permi/i);
    const read = await run('qemu-io', '-r', '-f', 'raw', '-c', 'read -v 4096 16', uri);
    const hex = [...disk.subarray(4096, 4112)].map((byte) => byte.toString(16).padStart(2, '0'));
    assert.ok(read.said.includes(hex.join(' ')), read.said);
    const beyond = await run('qemu-io', '-r', '-f', 'raw', '-c', `read ${SIZE} 512`, uri);
    assert.match(beyond.said, /failed/);
    assert.deepEqual(failures, []);
  });

  it('is listed and copied by libnbd, many reads at once', {
    skip: needs('nbdinfo'),
  }, async (test) => {
    const { port, uri, failures } = await serve(test);
    const { said } = await run('nbdinfo', '--json', uri);
    const [found] = JSON.parse(said).exports;
    assert.equal(found['export-size'], SIZE);
    assert.equal(found.is_read_only, true);
    assert.equal(found.can_multi_conn, true);
    assert.equal(found.block_size_maximum, 32 * 2 ** 20);
    const list = await run('nbdinfo', '--list', `nbd://127.0.0.1:${port}`);
    assert.match(list.said, /export="web"/);
    const copy = join(temporary(test), 'copy');
    const flags = ['--connections=4', '--requests=32', '--request-size=65536'];
    const copied = await run('nbdcopy', ...flags, uri, copy);
    assert.equal(copied.status, 0, copied.said);
    assert.ok(readFileSync(copy).equals(disk));
    assert.ok(
      failures.every((error) => /not there/.test(String(error))),
      String(failures),
    );
  });

  it('that cannot be read gives errors, and the connection goes on', {
    skip: needs('qemu-io'),
  }, async (test) => {
    const source = {
      size: SIZE,
      async read(at: number, length: number) {
        if (at < 4096) throw new Error('the registry is away');
        return disk.slice(at, at + length);
      },
    };
    const { uri, failures } = await serve(test, source);
    const commands = ['-c', 'read 0 512', '-c', 'read 8192 512'];
    const { said } = await run('qemu-io', '-r', '-f', 'raw', ...commands, uri);
    assert.match(said, /Input\/output error/);
    assert.match(said, /read 512\/512 bytes at offset 8192/);
    assert.match(String(failures), /the registry is away/);
  });

  it('that is not exported is said', { skip: needs('qemu-img') }, async (test) => {
    const { port } = await serve(test);
    for (const name of ['nothing', 'broken']) {
      const { status, said } = await run('qemu-img', 'info', `nbd://127.0.0.1:${port}/${name}`);
      assert.notEqual(status, 0);
      assert.match(said, /not exported|not available/);
    }
  });

  it('is given to clients of the old way, with or without zeros', async (test) => {
    const { port } = await serve(test);
    for (const [flags, zeros] of [
      [1, 124],
      [3, 0],
    ] as const) {
      const client = connect(port, '127.0.0.1');
      const sent = Buffer.concat([
        Buffer.from([0, 0, 0, flags]),
        OptionHeader.encode({ magic: 0x49484156454f5054n, option: 1, length: 3 }),
        Buffer.from('web'),
        Request.encode({
          magic: 0x25609513,
          flags: 0,
          command: 0,
          cookie: 7n,
          offset: 5n,
          length: 9,
        }),
        Request.encode({
          magic: 0x25609513,
          flags: 0,
          command: 2,
          cookie: 8n,
          offset: 0n,
          length: 0,
        }),
      ]);
      client.write(sent);
      const met = Buffer.concat(await client.toArray());
      const view = viewOf(met);
      assert.equal(met.length, Greeting.size + 10 + zeros + SimpleReply.size + 9);
      assert.equal(view.getBigUint64(Greeting.size), BigInt(SIZE));
      assert.ok(view.getUint16(Greeting.size + 8) & ExportFlag.readOnly);
      assert.deepEqual(met.subarray(-9), disk.subarray(5, 14));
    }
  });

  it('breaks with clients that send anything else, and with nothing else', async (test) => {
    const { port, failures } = await serve(test);
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.record({ option: fc.nat(12), data: fc.uint8Array({ maxLength: 24 }), lie: fc.nat(3) }),
      fc.record({
        command: fc.nat(9),
        offset: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        length: fc.nat(70_000),
      }),
    );
    const bytesOf = (part: typeof piece extends fc.Arbitrary<infer T> ? T : never): Uint8Array => {
      if (part instanceof Uint8Array) return part;
      if ('option' in part) {
        const { option, data, lie } = part;
        const length = data.length + (lie === 3 ? 1 << 20 : lie);
        const header = OptionHeader.encode({ magic: 0x49484156454f5054n, option, length });
        return Buffer.concat([header, data]);
      }
      return Request.encode({ magic: 0x25609513, flags: 0, cookie: 1n, ...part });
    };
    const flags = fc.constantFrom(0, 1, 3, 0xffff);
    const go = Buffer.concat([
      OptionHeader.encode({ magic: 0x49484156454f5054n, option: 7, length: 9 }),
      Buffer.from([0, 0, 0, 3, 0x77, 0x65, 0x62, 0, 0]),
    ]);
    await fc.assert(
      fc.asyncProperty(
        flags,
        fc.boolean(),
        fc.array(piece, { maxLength: 8 }),
        async (f, goes, parts) => {
          const client = connect(port, '127.0.0.1');
          client.on('error', () => {});
          client.write(Buffer.from([0, 0, f >> 8, f & 255]));
          if (goes) client.write(go);
          client.end(Buffer.concat(parts.map(bytesOf)));
          for await (const _ of client) if (client.bytesRead > 1e7) break;
        },
      ),
      { seed: 7, numRuns: 300 },
    );
    for (const error of failures) {
      const isExpected = AnoleError.is(error)
        ? error.code === 'NBD_BAD_REQUEST'
        : /not there/.test(String(error));
      assert.ok(isExpected, String(error));
    }
    // It has not been harmed.
    const client = connect(port, '127.0.0.1');
    const [greeting] = (await once(client, 'data')) as [Buffer];
    assert.equal(greeting.toString('latin1', 0, 8), 'NBDMAGIC');
    client.destroy();
  });
});
