import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnoleError, memorySource } from '@anole/bytes';
import fc from 'fast-check';
import { missing, run } from '../../test/judges.ts';
import { paxBody, type RawMember, rawTar } from '../../test/raw-tar.ts';
import { all, collect, pieces, sampleTree } from '../../test/trees.ts';
import { readTar, treeFromLayers, treeFromTar, writeTar } from '../index.ts';

const sparse = (records: readonly (readonly [string, string])[], body: string): RawMember[] => [
  { name: 'x', type: 'x', body: paxBody(records) },
  { name: 'a', body },
];

const version1: [string, string][] = [
  ['GNU.sparse.major', '1'],
  ['GNU.sparse.minor', '0'],
  ['GNU.sparse.realsize', '100'],
];

/** What is wrong, the members that are, and the code they raise. */
const wrongs: readonly (readonly [what: string, members: RawMember[], code: string])[] = [
  ['a name that climbs', [{ name: 'a/../../etc/passwd' }], 'TAR_BAD_NAME'],
  ['a hard link that climbs', [{ name: 'a', type: '1', link: '../b' }], 'TAR_BAD_NAME'],
  [
    'a name with NUL',
    [{ name: 'x', type: 'x', body: paxBody([['path', 'a\0b']]) }, { name: 'a' }],
    'TAR_BAD_NAME',
  ],
  [
    'a name without end',
    [{ name: 'L', type: 'L', body: 'a/'.repeat(40_000) }, { name: 'a' }],
    'TAR_BAD_NAME',
  ],
  ['a link to nothing', [{ name: 'a', type: '2' }], 'TAR_BAD_LINK'],
  [
    'a negative size',
    [{ name: 'a', patch: [124, [0xff, ...Array(11).fill(0xff)]] }],
    'TAR_BAD_NUMBER',
  ],
  [
    'a size beyond numbers',
    [{ name: 'a', patch: [124, [0x80, ...Array(11).fill(0xff)]] }],
    'TAR_BAD_NUMBER',
  ],
  ['a size that is no number', [{ name: 'a', patch: [124, [0x37, 0x38, 0x39]] }], 'TAR_BAD_NUMBER'],
  ['a body that is not there', [{ name: 'a', size: 0o77777777777 }], 'TAR_TRUNCATED'],
  ['an unknown type', [{ name: 'a', type: 'Q' }], 'TAR_UNSUPPORTED'],
  ['a part of another volume', [{ name: 'a', type: 'M' }], 'TAR_UNSUPPORTED'],
  ['a PAX header without end', [{ name: 'x', type: 'x', size: 0o7777777777 }], 'TAR_TOO_LARGE'],
  [
    'global PAX records without end',
    [{ name: 'g', type: 'g', body: paxBody([['comment', 'x'.repeat(100_000)]]) }],
    'TAR_TOO_LARGE',
  ],
  [
    'PAX records cut short',
    [{ name: 'x', type: 'x', body: '99 path=a\n' }, { name: 'a' }],
    'TAR_BAD_PAX',
  ],
  [
    'PAX records without key',
    [{ name: 'x', type: 'x', body: '5 =a\n' }, { name: 'a' }],
    'TAR_BAD_PAX',
  ],
  [
    'PAX records without length',
    [{ name: 'x', type: 'x', body: ' path=a\n' }, { name: 'a' }],
    'TAR_BAD_PAX',
  ],
  [
    'a PAX size that is no number',
    [{ name: 'x', type: 'x', body: paxBody([['size', '-1']]) }, { name: 'a' }],
    'TAR_BAD_PAX',
  ],
  [
    'a PAX time that is none',
    [{ name: 'x', type: 'x', body: paxBody([['mtime', '1e9']]) }, { name: 'a' }],
    'TAR_BAD_PAX',
  ],
  [
    'base64 that is none',
    [{ name: 'x', type: 'x', body: paxBody([['LIBARCHIVE.xattr.a', '*']]) }, { name: 'a' }],
    'TAR_BAD_PAX',
  ],
  [
    'a sparse map out of order',
    sparse(
      [
        ['GNU.sparse.size', '9'],
        ['GNU.sparse.map', '5,1,2,1'],
      ],
      'ab',
    ),
    'TAR_BAD_SPARSE',
  ],
  [
    'a sparse map beyond the file',
    sparse(
      [
        ['GNU.sparse.size', '3'],
        ['GNU.sparse.map', '2,2'],
      ],
      'ab',
    ),
    'TAR_BAD_SPARSE',
  ],
  [
    'a sparse map longer than its body',
    sparse(
      [
        ['GNU.sparse.size', '9'],
        ['GNU.sparse.map', '0,3'],
      ],
      'ab',
    ),
    'TAR_BAD_SPARSE',
  ],
  [
    'half a sparse map',
    sparse(
      [
        ['GNU.sparse.size', '9'],
        ['GNU.sparse.map', '0,1,2'],
      ],
      'a',
    ),
    'TAR_BAD_SPARSE',
  ],
  [
    'a sparse length without offset',
    sparse(
      [
        ['GNU.sparse.size', '9'],
        ['GNU.sparse.numbytes', '1'],
      ],
      'a',
    ),
    'TAR_BAD_SPARSE',
  ],
  [
    'a sparse map that never ends',
    sparse(version1, `999999999\n${'0\n'.repeat(600)}`),
    'TAR_BAD_SPARSE',
  ],
  ['a sparse map of no numbers', sparse(version1, 'x'.repeat(600)), 'TAR_BAD_SPARSE'],
  [
    'a sparse format of the future',
    sparse(
      [
        ['GNU.sparse.major', '2'],
        ['GNU.sparse.minor', '0'],
      ],
      '',
    ),
    'TAR_BAD_SPARSE',
  ],
];

describe('readTar, of what is wrong', () => {
  for (const [what, members, code] of wrongs) {
    it(`refuses ${what}`, async () => {
      const archive = rawTar(...members);
      await assert.rejects(all(readTar(memorySource(archive))), { code });
      await assert.rejects(all(readTar(pieces(archive, 700))), { code });
    });
  }

  it('says at which byte the member begins that is wrong', async () => {
    for (const [what, members, code] of wrongs) {
      if (code === 'TAR_TRUNCATED') continue;
      const archive = rawTar({ name: 'before', body: 'alpha' }, ...members);
      await assert.rejects(all(readTar(memorySource(archive))), (error: AnoleError) => {
        assert.equal(error.details['position'], 1024, what);
        assert.match(error.message, /byte 1024/, what);
        return true;
      });
    }
  });

  it('says so of members that cannot be put into a tree, too', async () => {
    const wrongs: readonly (readonly [RawMember, string])[] = [
      [{ name: 'link', type: '1', link: 'nothing' }, 'TAR_BAD_LINK'],
      [{ name: 'before/below', body: 'x' }, 'VFS_NOT_DIRECTORY'],
    ];
    for (const [member, code] of wrongs) {
      const archive = rawTar({ name: 'before', body: 'alpha' }, member);
      const says = (error: AnoleError) =>
        error.code === code &&
        error.details['position'] === 1024 &&
        /byte 1024/.test(error.message);
      await assert.rejects(treeFromTar(memorySource(archive)), says, code);
      await assert.rejects(treeFromTar(pieces(archive, 700)), says, code);
      await assert.rejects(treeFromLayers([memorySource(archive)]), says, code);
    }
  });

  it('refuses what is no tar at all', async () => {
    const noise = new Uint8Array(2048).map((_, at) => at * 7 + 1);
    await assert.rejects(all(readTar(memorySource(noise))), { code: 'TAR_BAD_CHECKSUM' });
  });

  it('refuses an archive that is cut anywhere within a member', async () => {
    const archive = rawTar({ name: 'L', type: 'L', body: 'name' }, { name: 'a', body: 'alpha' });
    for (const length of [100, 512, 700, 1024, 1500, 1536, 1540]) {
      const cut = archive.slice(0, length);
      await assert.rejects(
        all(readTar(memorySource(cut))),
        { code: 'TAR_TRUNCATED' },
        `at ${length}`,
      );
      await assert.rejects(
        all(readTar(pieces(cut, 300))),
        { code: 'TAR_TRUNCATED' },
        `at ${length}`,
      );
    }
  });

  it('takes a tar without its end, as GNU tar does', async () => {
    const archive = rawTar({ name: 'a', body: 'alpha' });
    assert.equal((await all(readTar(memorySource(archive.slice(0, 1024))))).length, 1);
  });

  it('takes as many PAX records as fit into the limit', async () => {
    const body = '5 a=\n'.repeat(500_000);
    const archive = rawTar({ name: 'x', type: 'x', body }, { name: 'a' });
    assert.equal((await all(readTar(memorySource(archive)))).length, 1);
    const small = readTar(memorySource(archive), { maxMetadata: 100_000 });
    await assert.rejects(all(small), { code: 'TAR_TOO_LARGE' });
  });

  it('keeps memory to what came, not to what a header claims', async () => {
    const archive = rawTar({ name: 'a', size: 0o77777777777, body: 'x' });
    await assert.rejects(treeFromTar(pieces(archive, 512)), { code: 'TAR_TRUNCATED' });
  });

  it('raises coded errors and ends, whatever bytes of an archive are changed', async () => {
    const archive = await collect(writeTar(sampleTree(), { sparse: true }));
    await fuzz(archive.subarray(0, 40_000), 400, 20);
  });

  it('survives changes to archives of GNU tar too', { skip: missing('tar') }, async () => {
    for (const format of ['gnu', 'posix', 'v7']) {
      const archive = run(
        ['tar', `--format=${format}`, '-cf', '-', 'package.json', 'src/index.ts'],
        {
          cwd: new URL('../..', import.meta.url).pathname,
        },
      );
      await fuzz(archive, 150, 21);
    }
  });
});

/** Changes bytes of headers and mends their checksums, so that what lies behind is reached. */
async function fuzz(archive: Uint8Array, runs: number, seed: number): Promise<void> {
  const change = fc.tuple(fc.nat(archive.length - 1), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.nat(archive.length),
      async (changes, mend, end) => {
        const broken = archive.slice(0, end < archive.length / 8 ? end : archive.length);
        for (const [at, value] of changes) if (at < broken.length) broken[at] = value;
        if (mend) for (const [at] of changes) mendChecksum(broken, at);
        try {
          await treeFromTar(pieces(broken, 4096));
        } catch (error) {
          assert.ok(AnoleError.is(error), String(error));
        }
      },
    ),
    { seed, numRuns: runs },
  );
}

function mendChecksum(archive: Uint8Array, at: number): void {
  const start = at - (at % 512);
  if (archive[start + 257] !== 0x75 || start + 512 > archive.length) return;
  archive.fill(0x20, start + 148, start + 156);
  const sum = archive.subarray(start, start + 512).reduce((total, byte) => total + byte, 0);
  archive.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, '0')}\0`), start + 148);
}
