// The packages as npm installs them: nobody has the sources there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const root = join(import.meta.dirname, '../..');

/** Types are there, and are not anything. */
const use = `
import { Sandbox } from '@anole/sandbox';
export const box: Promise<Sandbox> = Sandbox.create('os:base');
// @ts-expect-error
export const wrong: Promise<Sandbox> = Sandbox.create(1);`;

describe('the packages as they are published', () => {
  const home = mkdtempSync(join(tmpdir(), 'anole-pack-'));
  after(() => rmSync(home, { recursive: true, force: true }));

  /** Runs a program where the packages are installed; gives what it printed. */
  const run = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string => {
    const { NODE_OPTIONS: _, ...rest } = process.env;
    const options = { cwd: home, encoding: 'utf8', env: { ...rest, ...env } } as const;
    const { status, stdout, stderr } = spawnSync(program, args, options);
    assert.equal(status, 0, `${program} ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  const command = join(home, 'node_modules/@anole/cli/bin/anole.js');
  const anole = (...words: readonly string[]) => run(process.execPath, [command, ...words]);
  /** By what others import each, without what imports Node's inside at once. */
  const names: string[] = [];

  before(() => {
    const tarballs = join(home, 'tarballs');
    run(process.execPath, [join(root, 'tools/pack.ts'), tarballs]);
    writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }');
    const files = readdirSync(tarballs).map((name) => join(tarballs, name));
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...files]);
    for (const name of readdirSync(join(home, 'node_modules/@anole'))) {
      const manifest = join(home, 'node_modules/@anole', name, 'package.json');
      const { exports } = JSON.parse(readFileSync(manifest, 'utf8'));
      names.push(...Object.keys(exports).map((path) => join('@anole', name, path)));
    }
  });

  test('have a command that works on files', () => {
    mkdirSync(join(home, 'tree'));
    writeFileSync(join(home, 'tree/hello'), 'hello\n');
    anole('fs', 'mk', '-z', 'zstd', '-o', 'image.erofs', 'tree');
    assert.equal(anole('fs', 'cat', 'image.erofs', '/hello'), 'hello\n');
    // Its threads are modules that nothing imports.
    anole('fs', 'unpack', 'image.erofs', 'unpacked');
    assert.equal(readFileSync(join(home, 'unpacked/hello'), 'utf8'), 'hello\n');
  });

  test('have a command that runs others in a machine', () => {
    assert.equal(anole('run', '--', 'uname', '-m'), 'riscv64\n');
    assert.equal(anole('run', '--cpus', '2', '--', 'nproc'), '2\n');
  });

  test('have a command that starts others: a daemon, programs whose sockets share memory', () => {
    const runs = join(home, 'runs');
    mkdirSync(runs, { mode: 0o700 });
    const anoleThere = (...words: readonly string[]) =>
      run(process.execPath, [command, ...words], {
        XDG_RUNTIME_DIR: runs,
        ANOLE_DAEMON_IDLE: '1s',
      });
    const name = anoleThere('run', '-d', '--', 'sleep', 'infinity').trim();
    assert.equal(anoleThere('exec', name, '--', 'echo', 'there'), 'there\n');
    anoleThere('kill', name);
    const program = `const server = require('node:net').createServer((socket) => socket.end('there'));
      server.listen(0, '127.0.0.1', () => require('node:net')
        .connect(server.address().port, '127.0.0.1')
        .on('data', (bytes) => console.log(String(bytes)))
        .on('close', () => server.close()));`;
    assert.equal(anole('smc', 'run', '--', process.execPath, '-e', program), 'there\n');
  });

  test('have the command bundled, and as it is', () => {
    const code = `process.argv = [process.execPath, 'anole', '--version'];
      await import('./node_modules/@anole/cli/bin/anole.js');
      console.log(Reflect.get(globalThis, Symbol.for('anole.bundle')) !== undefined);`;
    const version = (env: NodeJS.ProcessEnv) =>
      run(process.execPath, ['--input-type=module', '-e', code], env);
    assert.match(version({}), /^\d+\.\d+\.\d+\ntrue\n$/);
    assert.match(version({ ANOLE_BUNDLE: '0' }), /^\d+\.\d+\.\d+\nfalse\n$/);
  });

  test('can be imported, each of them', () => {
    assert.ok(names.length > 30, names.join());
    const code = `for (const name of ${JSON.stringify(names)}) {
      if (Object.keys(await import(name)).length === 0) console.log(name);
    }`;
    // Works by being imported, and gives nothing.
    assert.equal(
      run(process.execPath, ['--input-type=module', '-e', code]),
      '@anole/smc/register\n',
    );
  });

  test('have types that a compiler without our sources understands', () => {
    const lines = names.map((name, at) => `import * as _${at} from '${name}';`);
    writeFileSync(join(home, 'types.ts'), [...lines, use].join('\n'));
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'esnext',
      lib: ['esnext', 'dom', 'dom.iterable', 'dom.asynciterable'],
      module: 'nodenext',
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    };
    writeFileSync(
      join(home, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['types.ts'] }),
    );
    const tsc = join(root, 'node_modules/.bin/tsc');
    const { stdout } = spawnSync(tsc, ['-p', '.'], { cwd: home, encoding: 'utf8' });
    // openpgp's declarations import a package that it does not name among its dependencies.
    const theirs = /^node_modules\/openpgp\/.*'@openpgp\/web-stream-tools'/;
    const faults = stdout.split('\n').filter((line) => line !== '' && !theirs.test(line));
    assert.deepEqual(faults, []);
  });
});
