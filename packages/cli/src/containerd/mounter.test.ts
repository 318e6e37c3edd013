import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mounterAt } from './mounter.ts';

describe('what the service of images says of mounts', () => {
  it('is taken of one that began before this program, too, and missed where there is none', async (test) => {
    const directory = mkdtempSync(join(tmpdir(), 'mounter-'));
    test.after(() => rmSync(directory, { recursive: true }));
    const socket = join(directory, 'images.sock');
    const mounts = [
      { directory: '/old', size: 9, present: 4 },
      { directory: '/new', size: 9, present: 5, inodes: 6 },
    ];
    const server = createServer((_, response) => void response.end(JSON.stringify({ mounts })));
    await once(server.listen(socket), 'listening');
    const mounter = mounterAt(socket);
    const usage = await mounter.usage();
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    assert.deepEqual(usage.get('/old'), { size: 4, inodes: 0 });
    assert.deepEqual(usage.get('/new'), { size: 5, inodes: 6 });
    await closed;
    assert.equal((await mounter.usage()).size, 0);
  });
});
