import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import fc from 'fast-check';
import { type DebRecipe, makeDeb, scratch, without } from '../testing/debs.ts';
import { openDeb, readControl, readData } from './deb.ts';

const skip = without('dpkg-deb');
const sample: DebRecipe = {
  name: 'sample',
  files: {
    'usr/bin/tool': '#!/bin/sh\nexit 0\n',
    'usr/lib/data': new Uint8Array(300_000).map((_, index) => (index * 7919) >> 5),
    'usr/lib/link': '-> data',
    'var/empty': undefined,
  },
  control: { postinst: '#!/bin/sh\nexit 0\n', conffiles: '/etc/none\n' },
};

async function readAll(bytes: Uint8Array) {
  const deb = await openDeb(memorySource(bytes));
  const control = await readControl(deb);
  const files: Record<string, string> = {};
  for await (const entry of readData(deb)) {
    const digest = entry.type === 'file' ? (await entry.storedBytes()).length : entry.target;
    files[entry.path] =
      `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${digest}`;
  }
  return { control, files };
}

for (const compression of ['none', 'gzip', 'xz', 'zstd'] as const) {
  test(`packages compressed with ${compression} are read`, { skip }, async () => {
    using directory = scratch();
    const { path } = makeDeb(directory.path, { ...sample, compression });
    const { control, files } = await readAll(readFileSync(path));
    assert.deepEqual([...control.keys()].sort(), ['conffiles', 'control', 'postinst']);
    assert.match(control.get('control') ?? '', /^Package: sample$/m);
    assert.deepEqual(files, {
      '': 'directory 755 0:0 ',
      usr: 'directory 755 0:0 ',
      'usr/bin': 'directory 755 0:0 ',
      'usr/bin/tool': 'file 755 0:0 17',
      'usr/lib': 'directory 755 0:0 ',
      'usr/lib/data': 'file 644 0:0 300000',
      'usr/lib/link': 'symlink 777 0:0 data',
      var: 'directory 755 0:0 ',
      'var/empty': 'directory 755 0:0 ',
    });
  });
}

test('leaving a stream early frees the decoder for the next one', {
  skip,
  timeout: 600_000,
}, async () => {
  using directory = scratch();
  const deb = await openDeb(memorySource(readFileSync(makeDeb(directory.path, sample).path)));
  for (let round = 0; round < 3; round++) {
    for await (const entry of readData(deb)) if (entry.path === 'usr/bin/tool') break;
  }
  assert.equal((await readControl(deb)).has('control'), true);
});

test('a file that unpacks to more than the limit is refused', { skip }, async () => {
  using directory = scratch();
  const deb = await openDeb(memorySource(readFileSync(makeDeb(directory.path, sample).path)));
  const reading = async () => {
    for await (const entry of readData(deb, 100_000)) await entry.storedBytes();
  };
  await assert.rejects(reading, { code: 'DEB_TOO_LARGE' });
});

test('missing members, other versions and other compressions are refused', {
  skip: skip || without('ar'),
}, async () => {
  using directory = scratch();
  const part = (name: string, content = '') => {
    writeFileSync(join(directory.path, name), content);
    return name;
  };
  const archive = async (...names: string[]) => {
    const options = { cwd: directory.path };
    execFileSync('rm', ['-f', 'x.deb'], options);
    execFileSync('ar', ['qcD', 'x.deb', ...names], { ...options, stdio: 'ignore' });
    return readAll(readFileSync(join(directory.path, 'x.deb')));
  };
  const version = part('debian-binary', '2.0\n');
  const control = part('control.tar', '\0'.repeat(10_240));
  const data = part('data.tar', '\0'.repeat(10_240));
  await assert.rejects(archive(version, control), { code: 'DEB_NO_MEMBER' });
  await assert.rejects(archive(version, data, control), { code: 'DEB_NO_MEMBER' });
  await assert.rejects(archive(control, version, data), { code: 'DEB_NO_MEMBER' });
  await assert.rejects(archive(version, control, data), { code: 'DEB_BAD_CONTROL' });
  await assert.rejects(archive(version, part('control.tar.bz2'), data), {
    code: 'DEB_BAD_COMPRESSION',
  });
  await assert.rejects(archive(part('debian-binary', '3.0\n'), control, data), {
    code: 'DEB_BAD_VERSION',
  });
});

for (const compression of ['none', 'gzip', 'xz', 'zstd'] as const) {
  test(`a damaged package (${compression}) gives a coded error or the same bytes`, {
    skip,
  }, async () => {
    using directory = scratch();
    const whole = readFileSync(makeDeb(directory.path, { ...sample, compression }).path);
    const damage = fc.record({
      cut: fc.option(fc.nat(whole.length - 1), { freq: 3 }),
      at: fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ cut, at }) => {
        const bytes = new Uint8Array(cut === null ? whole : whole.subarray(0, cut));
        for (const [offset, flip] of at) if (offset < bytes.length) bytes[offset]! ^= flip;
        try {
          await readAll(bytes);
        } catch (error) {
          assert.ok(AnoleError.is(error), `uncoded: ${String(error)}`);
          assert.match(error.code, /^(DEB|TAR)_/);
        }
      }),
      { seed: 20251123, numRuns: 150 },
    );
  });
}
