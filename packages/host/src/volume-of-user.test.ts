import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { scratchDirectory } from './scratch.fixture.ts';

const NOBODY = 65534;

/** What a user without rights does with a volume; throws where the volume answers otherwise. */
const script = `
  import assert from 'node:assert/strict';
  import { chmodSync, statSync, readFileSync } from 'node:fs';
  import { hostVolume } from '@anole/host';
  const directory = process.argv.at(-1);
  const text = (string) => new TextEncoder().encode(string);
  using volume = hostVolume(directory);
  const { root } = volume;
  const file = { type: 'file', mode: 0o444, uid: 0, gid: 0 };

  // As git does: what is made read-only is written all the same, and read again later.
  const object = root.create('object', file);
  object.write(0, text('written once'));
  object.release();
  const again = root.lookup('object');
  assert.deepEqual([again.stat.uid, again.stat.gid, again.stat.mode], [0, 0, 0o444]);
  again.write(0, text('WRITTEN'));
  assert.equal(statSync(directory + '/object').mode & 0o7777, 0o444);
  assert.equal(readFileSync(directory + '/object', 'latin1'), 'WRITTEN once');

  // As go does: a directory that is read-only, and removed with all that is in it.
  const sealed = root.create('sealed', { ...file, type: 'directory', mode: 0o755 });
  sealed.create('inside', file);
  sealed.change({ mode: 0o500 });
  sealed.unlink('inside');
  assert.equal(statSync(directory + '/sealed').mode & 0o7777, 0o500);
  sealed.change({ mode: 0 });
  assert.deepEqual(sealed.list(), []);
  root.removeDirectory('sealed');

  // Files of others are nobody's, and stay as they are.
  const foreign = root.lookup('foreign');
  assert.deepEqual([foreign.stat.uid, foreign.stat.gid], [65534, 65534]);
  assert.throws(() => foreign.read(0, 10), { code: 'VFS_ACCESS_DENIED' });
  assert.throws(() => foreign.change({ mode: 0o777 }), { code: 'VFS_NOT_PERMITTED' });
  assert.throws(() => again.change({ uid: 7, gid: 7 }), { code: 'VFS_NOT_PERMITTED' });
  again.change({ uid: 0, gid: 0 });

  using shown = hostVolume(directory, { shownAs: { uid: 1000, gid: 100 } });
  const own = shown.root.create('own', { ...file, uid: 1000, gid: 100 });
  assert.deepEqual([own.stat.uid, own.stat.gid], [1000, 100]);
  console.log('ok');
`;

describe('hostVolume of a user without rights', () => {
  const skip = process.geteuid?.() === 0 ? false : 'needs root, to become another user';

  it('gives that user what is made, and no more than that user has', { skip }, (context) => {
    const directory = join(scratchDirectory(context), 'volume');
    mkdirSync(directory);
    writeFileSync(join(directory, 'foreign'), 'of root', { mode: 0o600 });
    for (const path of [directory, join(directory, '..')]) chownSync(path, NOBODY, NOBODY);
    const options = ['-C', 'anole-source', '--input-type=module-typescript', '--eval', script];
    const child = spawnSync(process.execPath, [...options, directory], {
      cwd: import.meta.dirname,
      uid: NOBODY,
      gid: NOBODY,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    });
    const unreadable = child.error !== undefined || /EACCES.*(packages|node)/.test(child.stderr);
    if (unreadable) return context.skip('the checkout cannot be read by other users');
    assert.equal(child.stdout, 'ok\n', child.stderr);
    assert.equal(statSync(join(directory, 'object')).uid, NOBODY);
    return undefined;
  });
});
