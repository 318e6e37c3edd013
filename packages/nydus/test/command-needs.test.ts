import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hostTree } from '@anole/host';
import { MemoryTree } from '@anole/vfs';
import fc from 'fast-check';
import { needs } from '../../oci/src/testing/tools.ts';
import { elfNeeds } from '../src/node/command/elf.ts';
import { commandNeeds } from '../src/node/command/needs.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const execution = (cmd: readonly string[], env: readonly string[] = []) => ({
  entrypoint: [],
  cmd,
  env,
});

/** Files that the loader of this computer takes for a program, as ldd(1) has it. */
function filesByLdd(program: string): string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  const paths = [...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path]) => path!);
  return [program, ...paths].map((path) => realpathSync(path).slice(1)).sort();
}

/** A program of two segments: all of it, and its dynamic section, which has these entries. */
function programOf(size: number, dynamic: number, entries: readonly (readonly number[])[]): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.write('\x7fELF', 'latin1');
  bytes.set([2, 1], 4);
  bytes.writeUInt16LE(62, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  const segment = (at: number, type: number, offset: number, size: number) => {
    bytes.writeUInt32LE(type, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(BigInt(offset), at + 16);
    bytes.writeBigUInt64LE(BigInt(size), at + 32);
  };
  segment(64, 1, 0, size);
  segment(120, 2, dynamic, 40_000);
  for (const [index, words] of entries.entries()) {
    for (const [at, word] of words.entries())
      bytes.writeBigUInt64LE(BigInt(word), dynamic + 16 * index + 8 * at);
  }
  return bytes;
}

/** Names /b and /c, then a thousand libraries that are nowhere, in thousands of directories. */
function greedyProgram(): Uint8Array {
  const names = 256;
  const list = `${'d:'.repeat(2000)}\0/b\0/c\0none\0`;
  const offset = (name: string) => list.indexOf(name);
  const bytes = programOf(64 * 1024, 8192, [
    [5, names],
    [10, list.length],
    [1, offset('/b')],
    [1, offset('/c')],
    ...Array.from({ length: 1000 }, () => [29, 0]),
    ...Array.from({ length: 1000 }, () => [1, offset('none')]),
  ]);
  bytes.write(list, names, 'latin1');
  return bytes;
}

/** Names libraries, and then a thousand whose names are as long as any may be, and overlap. */
function programOfLongNames(libraries: readonly string[]): Uint8Array {
  const [names, long] = [60 * 1024, 8192];
  const list = `${'x'.repeat(long)}\0${libraries.join('\0')}\0`;
  const bytes = programOf(128 * 1024, 8192, [
    [5, names],
    [10, list.length],
    ...libraries.map((name) => [1, list.indexOf(`\0${name}\0`) + 1]),
    ...Array.from({ length: 1000 }, (_, at) => [1, at]),
  ]);
  bytes.write(list, names, 'latin1');
  return bytes;
}

/** Names `/b` at the end of a table of eight megabytes, as that of a program with very many symbols. */
function programOfManyNames(): Uint8Array {
  const [names, size] = [64 * 1024, 8 * 1024 * 1024];
  const at = size - 3;
  const bytes = programOf(names + size, 8192, [
    [5, names],
    [10, size],
    [1, at],
    [1, size],
    [1, size + 4096],
  ]);
  bytes.write('/b\0', names + at, 'latin1');
  return bytes;
}

describe('what a command needs', () => {
  it('is what the loader takes', { skip: needs('ldd') }, async () => {
    using tree = hostTree('/', {});
    for (const program of ['/bin/ls', '/usr/bin/perl', '/bin/sh']) {
      const trace = await commandNeeds(tree, execution([program]));
      // What the C library opens by name is no library.
      const named = /^(?:etc|usr\/share|usr\/lib\/locale)\/|\/gconv\//;
      const paths = new Set(trace.map(({ path }) => path).filter((path) => !named.test(path)));
      assert.deepEqual([...paths].sort(), filesByLdd(program), program);
      for (const { path, offset, length } of trace) {
        assert.ok(length > 0 && offset + length <= statSync(`/${path}`).size, path);
      }
    }
  });

  it('is found by the search path, behind links and scripts', async () => {
    const tree = new MemoryTree();
    const program = readFileSync(realpathSync('/bin/sh'));
    tree.putFile('usr/bin/dash', program);
    tree.putSymlink('bin', 'usr/bin');
    tree.putSymlink('usr/bin/sh', 'dash');
    tree.putFile('usr/bin/env', encode('no program'));
    tree.putFile('opt/tool', encode('#!/usr/bin/env sh\n'));
    tree.putFile('opt/other', encode('#! /bin/sh -e\necho\n'));
    const paths = async (cmd: string, env?: readonly string[]) =>
      (await commandNeeds(tree, execution([cmd], env))).map(({ path }) => path);
    assert.deepEqual(await paths('sh'), ['usr/bin/dash']);
    assert.deepEqual(await paths('tool'), []);
    const found = ['opt/tool', 'usr/bin/env', 'usr/bin/dash'];
    assert.deepEqual(await paths('tool', ['PATH=/opt']), found.slice(0, 2));
    assert.deepEqual(await paths('tool', ['PATH=/opt:/bin']), found);
    assert.deepEqual(await paths('/opt/other'), ['opt/other', 'usr/bin/dash']);
    assert.deepEqual(await commandNeeds(tree, execution([])), []);
  });

  it('is also what its arguments name, from where it runs', async () => {
    const tree = new MemoryTree();
    for (const path of ['bin/java', 'usr/share/app.jar', 'srv/app.js', 'srv/none'])
      tree.putFile(path, encode(path));
    tree.putFile('srv/large', new Uint8Array(5_000_000));
    tree.putSymlink('lib/app.jar', '../usr/share/app.jar');
    const cmd = [
      'java',
      '-jar',
      '/lib/app.jar',
      'app.js',
      './large',
      '..',
      'x\0',
      'y'.repeat(5000),
    ];
    const command = { ...execution(cmd), workingDirectory: '/srv' };
    const paths = (await commandNeeds(tree, command)).map(({ path }) => path);
    assert.deepEqual(paths, ['bin/java', 'usr/share/app.jar', 'srv/app.js']);
  });

  it('is told by a table of names of any size, and not by what lies outside of it', async () => {
    const tree = new MemoryTree();
    tree.putFile('a', programOfManyNames());
    tree.putFile('b', encode('a library'));
    const trace = await commandNeeds(tree, execution(['/a']));
    assert.deepEqual([...new Set(trace.map(({ path }) => path))], ['a', 'b']);
  });

  it('is looked for in no more places than any program has', async () => {
    const tree = new MemoryTree();
    for (const name of ['a', 'b', 'c']) tree.putFile(name, greedyProgram());
    let lookups = 0;
    const { root } = tree;
    const lookup = root.lookup.bind(root);
    root.lookup = (name) => {
      lookups++;
      return lookup(name);
    };
    const trace = await commandNeeds(tree, execution(['/a']));
    assert.deepEqual([...new Set(trace.map(({ path }) => path))], ['a', 'b', 'c']);
    assert.ok(lookups < 100_000, `${lookups} look-ups`);
  });

  it('is read of no more names than any program has, whatever its libraries need', async () => {
    const tree = new MemoryTree();
    const names = Array.from({ length: 250 }, (_, at) => `/l${at}`);
    let bytes = 0;
    for (const path of ['a', ...names]) {
      const file = tree.putFile(path, programOfLongNames(names));
      const read = file.read.bind(file);
      file.read = (offset, length) => {
        bytes += length;
        return read(offset, length);
      };
    }
    const trace = await commandNeeds(tree, execution(['/a']));
    assert.deepEqual(
      trace.map(({ path }) => `/${path}`),
      ['/a', ...names],
    );
    assert.ok(bytes < 16 * 1024 * 1024, `${bytes} bytes`);
  });

  it('is looked for while others have their turns, and no more when it is not wanted any more', async () => {
    const tree = new MemoryTree();
    for (const name of ['a', 'b', 'c']) tree.putFile(name, greedyProgram());
    let turns = 0;
    let next = setImmediate(function turn() {
      turns++;
      next = setImmediate(turn);
    });
    await commandNeeds(tree, execution(['/a']));
    clearImmediate(next);
    assert.ok(turns > 20, `${turns} turns`);
    const stopping = new AbortController();
    const { signal } = stopping;
    const wanted = commandNeeds(tree, execution(['/a']), { signal });
    setImmediate(() => stopping.abort());
    await assert.rejects(wanted, { name: 'AbortError' });
  });

  it('ends with any program, and any script', async () => {
    const tree = new MemoryTree();
    tree.putFile('a', encode('#!/a\n'));
    tree.putFile('b', encode('#!/usr/bin/env b\n'));
    tree.putSymlink('c', 'c');
    for (const cmd of ['/a', '/b', '/c', '/']) await commandNeeds(tree, execution([cmd]));
    const program = readFileSync(realpathSync('/bin/sh')).subarray(0, 8192);
    const edits = fc.array(fc.tuple(fc.nat({ max: 1023 }), fc.nat({ max: 255 })), {
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(edits, async (all) => {
        const bytes = new Uint8Array(program);
        for (const [at, value] of all) bytes[at] = value;
        const damaged = new MemoryTree();
        damaged.putFile('it', bytes);
        await commandNeeds(damaged, execution(['/it']));
        await elfNeeds((await damaged.root.lookup('it'))!, { characters: 10_000 });
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});
