import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Example {
  readonly readme: string;
  /** Which of the README's examples; the first unless told. */
  readonly number?: number;
  /** What the example takes for granted. */
  readonly before?: string;
  readonly after?: string;
  readonly prints: RegExp;
}

/** An image with one file, and a server for it. */
const SERVED = `
  import { MemoryTree as Made } from '@anole/vfs';
  import { writeErofs as write } from '@anole/erofs';
  import { collect } from './packages/vfs/test/trees.ts';
  import { RangeServer } from './packages/bytes/test/range-server.ts';
  const made = new Made();
  made.putFile('etc/motd', new TextEncoder().encode('kept'));
  made.putFile('usr/large', new Uint8Array(100000).fill(7));
  const image = await collect(await write(made, { compression: { compressor: 'lz4' } }));
  const server = new RangeServer(image);
  const served = () => server.listen();`;

const examples: readonly Example[] = [
  {
    readme: 'README.md',
    after: 'console.log(exit.code, new TextDecoder().decode(stdout));',
    prints: /^0 riscv64\n/,
  },
  { readme: 'packages/bytes/README.md', prints: /^36n 2\n[0-9a-f]+\n$/ },
  {
    readme: 'packages/vfs/README.md',
    before: 'const stream = writeTar(new MemoryTree()); const output = { write: () => true };',
    prints: /etc/,
  },
  {
    readme: 'packages/host/README.md',
    before: `import { MemoryTree } from '@anole/vfs';
      import { createFileAtomically } from '@anole/host';
      const made = new MemoryTree();
      made.putFile('note', new TextEncoder().encode('kept'));
      await createFileAtomically('data.tar', async (file) => {
        for await (const chunk of writeTar(made)) await file.write(chunk);
      });`,
    prints: /note.*ustar.*kept/s,
  },
  {
    readme: 'packages/erofs/README.md',
    before: `import { mkdirSync, writeFileSync } from 'node:fs';
      mkdirSync('rootfs'); writeFileSync('rootfs/note', 'kept');`,
    prints: /note/,
  },
  {
    readme: 'packages/oci/README.md',
    before: `import { describe, encodeJson, encodeManifest, mediaTypes } from '@anole/oci';
      import { LayoutDirectory } from '@anole/oci/node';
      process.env['ANOLE_CACHE'] = 'cache';
      const web = new LayoutDirectory('web');
      const rootfs = { type: 'layers', diff_ids: [] };
      const made = encodeJson({ os: 'linux', architecture: 'riscv64', config: { Cmd: ['sh'] }, rootfs });
      const config = await describe(mediaTypes.config, made);
      await web.putBlob(config, async function* () { yield made; });
      const { manifest: mediaType } = mediaTypes;
      const bytes = encodeManifest({ kind: 'manifest', mediaType, config, layers: [] });
      await web.putManifest(await describe(mediaType, bytes), bytes, '1.2');`,
    prints: /^\[ 'sh' \] \[\]\n$/,
  },
  {
    readme: 'packages/erofs/README.md',
    number: 2,
    before: `import { writeFileSync } from 'node:fs';
      import { MemoryTree as Made, writeTar } from '@anole/vfs';
      import { collect } from './packages/vfs/test/trees.ts';
      const made = new Made();
      made.putFile('large', new Uint8Array(1000000).fill(7));
      writeFileSync('layer.tar', await collect(writeTar(made)));`,
    after: 'console.log(image.size < 10000);',
    prints: /^true\n$/,
  },
  {
    readme: 'packages/erofs/README.md',
    number: 3,
    before: `${SERVED} import { memorySource } from '@anole/bytes';
      import { openErofs } from '@anole/erofs'; const source = memorySource(image);`,
    after: 'console.log(await tree.root.list());',
    prints: /name: 'etc'/,
  },
  {
    readme: 'packages/erofs/README.md',
    number: 4,
    before: `${SERVED} const url = await served();`,
    after: 'await server[Symbol.asyncDispose]();',
    prints: /^kept\n$/,
  },
  {
    readme: 'packages/erofs/README.md',
    number: 5,
    before: `${SERVED} import { memorySource } from '@anole/bytes';
      const source = memorySource(image);`,
    prints: /^4096 100000\n$/,
  },
  {
    readme: 'packages/bytes/README.md',
    number: 2,
    before: `${SERVED} const url = await served();`,
    after: 'await server[Symbol.asyncDispose]();',
    prints: /^\d+ Uint8Array\(16\)/,
  },
  { readme: 'packages/compose/README.md', prints: /^\d+ \[\]\n$/ },
  {
    readme: 'packages/smc/README.md',
    after: `
      socket.on('data', () => {
        socket.destroy();
        server.close();
      });`,
    prints: /transport: 'smc-d'/,
  },
  {
    readme: 'packages/smc/README.md',
    number: 2,
    before: `import { copyFileSync } from 'node:fs';
      copyFileSync(${JSON.stringify(join(root, 'packages/smc/test/vectors/linux-6.12-smcrv2-rxe.pcap'))}, 'smc.pcap');`,
    prints: /clc Proposal version 2.*SMC-R undefined/s,
  },
  {
    readme: 'packages/sandbox/README.md',
    after: 'console.log(exit.code, new TextDecoder().decode(stdout));',
    prints: /^hello\n3\n0 42\n/,
  },
];

/** Runs the first example of a README in a directory of its own. */
function runExample({ readme, number = 1, before = '', after = '' }: Example): string {
  const all = readFileSync(join(root, readme), 'utf8').matchAll(/```ts\n(.*?)```/gs);
  const example = [...all][number - 1]?.[1];
  assert.ok(example, `${readme} has no example ${number}`);
  const directory = mkdtempSync(join(tmpdir(), 'anole-readme-'));
  try {
    // Imports are resolved from where the process starts, before any of this runs.
    const code = `process.chdir(${JSON.stringify(directory)});\n${before}\n${example}\n${after}`;
    const flags = ['-C', 'anole-source', '--input-type=module-typescript', '-e', code];
    const { status, stdout, stderr } = spawnSync(process.execPath, flags, { cwd: root });
    assert.equal(status, 0, String(stderr));
    return String(stdout);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('the example of', () => {
  for (const example of examples) {
    test(`${example.readme}${example.number ? ` (${example.number})` : ''} runs as it stands`, () => {
      assert.match(runExample(example), example.prints);
    });
  }
});
