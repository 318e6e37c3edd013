import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, realpathSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hostTree } from '@anole/host';
import { MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { needs, run } from '../../oci/src/testing/tools.ts';
import { commandNeeds } from '../src/node/command/needs.ts';
import { openedByName } from '../src/node/command/runtimes.ts';

const execution = (...cmd: readonly string[]) => ({ entrypoint: [], cmd, env: [] });
/** Programs of Java on this computer, without links. */
const javas = [...new Set(globSync('/usr/lib/jvm/*/bin/java').map((path) => realpathSync(path)))];
const noJava = javas.length === 0 && 'needs a Java runtime';

/** Files that the loader takes for a program and for what that opens (ld.so(8), LD_DEBUG), without links. */
function librariesOf(program: string, ...args: readonly string[]): string[] {
  const env = { ...process.env, LD_DEBUG: 'files' };
  const { stderr } = spawnSync(program, args, { env, encoding: 'utf8' });
  const paths = [...stderr.matchAll(/calling init: (\/\S+)/g)].map(([, path]) =>
    realpathSync(path!),
  );
  return [...new Set(paths)].map((path) => path.slice(1));
}

/** An image of modules without modules: its header, and then what it says and more. */
function modulesOf(table: number, places: number, names: number): Uint8Array {
  const bytes = new Uint8Array(100_000);
  const words = new Uint32Array(bytes.buffer, 0, 7);
  words.set([0xcafedada, 0x10000, 0, table, table, places, names]);
  return bytes;
}

describe('what runtimes open by name', () => {
  it('are all libraries of a Java machine, its classes, and the index of its modules', {
    skip: noJava,
  }, async (test) => {
    using tree = hostTree('/', {});
    for (const program of javas) {
      const home = program.slice(1, -'bin/java'.length);
      const trace = await commandNeeds(tree, execution(program));
      const paths = new Set(trace.map(({ path }) => path));
      const taken = librariesOf(program, '-version');
      assert.ok(taken.some((path) => path.endsWith('/libjvm.so')));
      // For processors that have what it is for.
      const missing = taken.filter(
        (path) => !paths.has(path) && !/lib(?:simdsort|jsvml)\.so$/.test(path),
      );
      assert.deepEqual(missing, [], program);
      const lengthOf = (name: string) =>
        trace.filter(({ path }) => path === home + name).map(({ length }) => length);
      const sizeOf = (name: string) => statSync(`/${home}${name}`).size;
      assert.deepEqual(lengthOf('lib/server/classes.jsa'), [sizeOf('lib/server/classes.jsa')]);
      // Its code, and not its constants.
      const machine = 'lib/server/libjvm.so';
      const lengths = lengthOf(machine);
      assert.ok(Math.max(...lengths) > sizeOf(machine) / 2, `${lengths}`);
      assert.ok(lengths.reduce((all, each) => all + each, 0) < sizeOf(machine));
      for (const { places } of openedByName(program.slice(1))) {
        assert.ok(paths.has(realpathSync(`/${places[0]}`).slice(1)), places[0]);
      }
      const jimage = `/${home}bin/jimage`;
      if (!existsSync(jimage)) test.diagnostic(`no judge of modules: ${jimage}`);
      else {
        const said = spawnSync(jimage, ['info', `/${home}lib/modules`], {
          encoding: 'utf8',
        }).stdout;
        const [, size] = /Index Size: +(\d+)/.exec(said)!;
        assert.deepEqual(lengthOf('lib/modules'), [Number(size)]);
      }
    }
  });

  it('are the files of the loader and the C library, and the encodings of Python', {
    skip: needs('strace', 'python3'),
  }, async () => {
    using tree = hostTree('/', {});
    const python = run('python3', '-c', 'import sys; print(sys.executable)').trim();
    const { env } = process;
    const trace = await commandNeeds(tree, execution(realpathSync(python)));
    const paths = new Set(trace.map(({ path }) => path));
    // As it is where nobody has set it up otherwise: -I leaves out what is the user's, -S what was installed.
    const command = ['-f', '-e', 'trace=openat', python, '-I', '-S', '-c', 'pass'];
    const { stderr } = spawnSync('strace', command, {
      env: { PATH: env['PATH'] },
      encoding: 'utf8',
    });
    const opened = [...stderr.matchAll(/openat\(AT_FDCWD, "(\/[^"]+)", ([A-Z_|]+)\) = \d/g)]
      .filter(([, , flags]) => !flags!.includes('O_DIRECTORY'))
      .map(([, path]) => realpathSync(path!).slice(1))
      .filter((path) => !/^(?:proc|sys|dev)\//.test(path));
    assert.ok(
      opened.some((path) => path.includes('/encodings/')),
      stderr,
    );
    const missing = opened.filter((path) => !paths.has(path));
    assert.deepEqual(missing, []);
    assert.ok(paths.has('etc/ld.so.cache'));
  });

  it('are left out where they make no sense, or are too large', async () => {
    const tree = new MemoryTree();
    tree.putFile('opt/java/bin/java', new Uint8Array(10));
    tree.putSymlink('bin/java', '/opt/java/bin/java');
    const put = (name: string, bytes: Uint8Array) => tree.putFile(`opt/java/lib/${name}`, bytes);
    put('jvm.cfg', new Uint8Array(20));
    put('server/classes.jsa', new Uint8Array(65 * 1024 * 1024));
    const needed = async () =>
      (await commandNeeds(tree, execution('/bin/java'))).map(({ path, length }) => [
        path.replace('opt/java/', ''),
        length,
      ]);
    const always = [
      ['bin/java', 10],
      ['lib/jvm.cfg', 20],
    ];
    assert.deepEqual(await needed(), always);
    for (const [bytes, length] of [
      [modulesOf(10, 20, 30), 28 + 80 + 50],
      [modulesOf(10, 100_000, 30), 0],
      [modulesOf(0xffff_ffff, 0xffff_ffff, 0xffff_ffff), 0],
      [new Uint8Array(100_000), 0],
      [new Uint8Array(20), 0],
    ] as const) {
      put('modules', bytes);
      assert.deepEqual(await needed(), length > 0 ? [...always, ['lib/modules', length]] : always);
    }
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 0, maxLength: 40 }), async (bytes) => {
        put('modules', Buffer.concat([Uint8Array.of(0xda, 0xda, 0xfe, 0xca), bytes]));
        for (const [, length] of await needed()) assert.ok(Number(length) <= 100_000);
      }),
      { seed: 5, numRuns: 200 },
    );
  });
});
