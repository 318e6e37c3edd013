import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { scratchDirectory } from '../scratch.fixture.ts';
import { hasNative } from './koffi.ts';

const MOST = 20_000;

/** Processes that write numbered lines to one log; one that has a number of lines kills itself when it has written them. */
async function written(test: TestContext, path: string, counts: readonly (number | 'many')[]) {
  const program = `
    import { LogFile } from '@anole/host/native';
    const [path, name, count] = process.argv.slice(1);
    const log = LogFile.take(path, ${MOST});
    for (let at = 0; at < Number(count === 'many' ? 3000 : count); at++) log.write(name + ' ' + at + ' ' + 'x'.repeat(at % 60));
    if (count !== 'many') process.kill(process.pid, 'SIGKILL');
    process.stderr.write(name + ' ends\\n');
  `;
  const place = { cwd: import.meta.dirname, stdio: 'ignore' } as const;
  const writers = counts.map((count, at) => {
    const words = ['-C', 'anole-source', '--input-type=module', '-e', program];
    return spawn(process.execPath, [...words, path, `w${at}`, String(count)], place);
  });
  test.after(() => {
    for (const each of writers) each.kill('SIGKILL');
  });
  await Promise.all(writers.map((each) => once(each, 'close')));
}

describe('a log', { skip: hasNative() ? false : 'needs koffi' }, () => {
  it('stays small, whoever writes to it, and loses no line but the oldest', async (test) => {
    const path = join(scratchDirectory(test), 'log');
    await written(test, path, ['many', 'many', 500]);
    for (const each of [path, `${path}.1`]) {
      // One line of each writer may have found room before another took it.
      assert.ok(statSync(each).size <= MOST + 300, `${statSync(each).size} bytes`);
      assert.equal(statSync(each).mode & 0o777, 0o600);
    }
    const lines = readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8');
    assert.ok(lines.endsWith('\n'));
    for (const writer of ['w0', 'w1', 'w2']) {
      const own = lines.split('\n').filter((line) => line.startsWith(`${writer} `));
      const numbers = own.flatMap((line) => {
        const [, number, filler] = line.split(' ');
        if (number === 'ends') return [];
        assert.equal(filler?.length, Number(number) % 60, `a line is not whole: ${line}`);
        return [Number(number)];
      });
      const first = numbers[0] ?? 0;
      assert.deepEqual(
        numbers,
        numbers.map((_, at) => first + at),
        'none is missing in between',
      );
      if (writer !== 'w2' && numbers.length > 0) {
        assert.equal(numbers.at(-1), 2999);
        assert.equal(own.at(-1), `${writer} ends`, 'what it prints otherwise is there, too');
      }
    }
  });

  it('that is a link stays one, and what it leads to stays small', async (test) => {
    const directory = scratchDirectory(test);
    const path = join(directory, 'link');
    symlinkSync('log', path);
    await written(test, path, ['many']);
    assert.ok(lstatSync(path).isSymbolicLink());
    assert.deepEqual(readdirSync(directory).toSorted(), ['link', 'log', 'log.1']);
    assert.match(readFileSync(path, 'utf8'), /w0 ends\n$/);
  });

  it('that has grown large before is not kept', async (test) => {
    const path = join(scratchDirectory(test), 'log');
    writeFileSync(path, 'old\n');
    truncateSync(path, 3 * MOST);
    await written(test, path, [2]);
    assert.equal(existsSync(`${path}.1`), false);
    assert.match(readFileSync(path, 'utf8'), /^w0 0 \nw0 1 x\n$/);
  });
});
