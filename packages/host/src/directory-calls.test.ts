import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { needs, run, temporary } from '../test/tools.ts';
import { DirectoryCalls } from './directory-calls.ts';
import { InodeNumbers } from './host-stat.ts';
import { hasNative } from './native/koffi.ts';
import { StatRows } from './stat-rows.ts';

const missing = hasNative() ? needs('mkfifo', 'touch') : 'koffi is not installed';

describe('system calls by names in directories', { skip: missing }, () => {
  it('say the same natively as through Node', (test) => {
    const base = temporary(test);
    writeFileSync(join(base, 'file'), 'content', { mode: 0o4751 });
    linkSync(join(base, 'file'), join(base, 'link'));
    symlinkSync('/nowhere', join(base, 'symlink'));
    mkdirSync(join(base, 'd\u00e4'));
    run(['mkfifo', join(base, 'pipe')]);
    run(['touch', '-d', '@-5.25', join(base, 'file')]);
    run(['touch', '-h', '-d', '@5234567890.123456789', join(base, 'symlink')]);
    run(['truncate', '-s', '5000000000', join(base, 'large')]);
    const all = [base, '/dev'].flatMap((path) => {
      const directory = openSync(path, 'r');
      test.after(() => closeSync(directory));
      const names =
        path === base ? ['file', 'link', 'symlink', 'd\u00e4', 'pipe', 'large'] : ['null'];
      return names.map((name) => [directory, name] as const);
    });
    const numbers = new InodeNumbers(0);
    const [native, node] = [new StatRows(all.length, numbers), new StatRows(all.length, numbers)];
    const [nativeCalls, nodeCalls] = [new DirectoryCalls(0), new DirectoryCalls(Infinity)];
    for (const [row, [directory, name]] of all.entries()) {
      assert.ok(nativeCalls.stat(native, row, directory, name));
      assert.ok(nodeCalls.stat(node, row, directory, name));
      assert.deepEqual(native.stat(row), node.stat(row), name);
      assert.deepEqual(native.identity(row), node.identity(row));
    }
    assert.deepEqual(native.identity(0), native.identity(1));
    assert.notDeepEqual(native.identity(0), native.identity(2));
  });

  it('fail in the same way', (test) => {
    const base = temporary(test);
    symlinkSync('/', join(base, 'symlink'));
    writeFileSync(join(base, 'file'), '');
    const directory = openSync(base, 'r');
    const file = openSync(join(base, 'file'), 'r');
    test.after(() => [directory, file].map((fd) => closeSync(fd)));
    const rows = new StatRows(1, new InodeNumbers(0));
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
    for (const calls of [new DirectoryCalls(0), new DirectoryCalls(Infinity)]) {
      assert.equal(calls.stat(rows, 0, directory, 'absent'), false);
      assert.throws(() => calls.stat(rows, 0, file, 'below'), { code: 'ENOTDIR' });
      assert.throws(() => calls.open(directory, 'absent', flags), { code: 'ENOENT' });
      assert.throws(() => calls.open(directory, 'symlink', flags), { code: 'ELOOP' });
      assert.throws(() => calls.stat(rows, 0, directory, 'x'.repeat(300)), {
        code: 'ENAMETOOLONG',
      });
    }
  });
});
