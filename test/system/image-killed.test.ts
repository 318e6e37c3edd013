import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryTree } from '@anole/vfs';
import { RawLayout, tarOf } from '../../packages/oci/src/testing/images.ts';
import { needs, run, temporary } from '../../packages/oci/src/testing/tools.ts';
import { anoleIn, succeed } from './anole-image.ts';

const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');
/** Milliseconds after the first trace of the work. */
const moments = [0, 60];

/** A layout with an image of some layers, and the same files in a directory. */
async function world(test: TestContext) {
  const directory = temporary(test);
  const at = (name: string) => join(directory, name);
  const raw = new RawLayout(at('original'));
  const layers: { tar: Uint8Array }[] = [];
  for (let layer = 0; layer < 3; layer++) {
    const tree = new MemoryTree();
    for (let file = 0; file < 40; file++) {
      const path = `layer-${layer}/${file}`;
      const bytes = new Uint8Array(
        Buffer.concat([randomBytes(60_000), Buffer.alloc(60_000, path)]),
      );
      tree.putFile(path, bytes);
      mkdirSync(dirname(at(`judge/${path}`)), { recursive: true });
      writeFileSync(at(`judge/${path}`), bytes);
    }
    layers.push({ tar: await tarOf(tree) });
  }
  raw.name(raw.image({ layers }), 'a');
  return { directory, at, anole: anoleIn(directory) };
}

/** Runs a command and kills it so long after something is in `place` that was not there. */
async function killed(directory: string, place: string, after: number, args: readonly string[]) {
  const before = new Set(entries(place));
  const child = spawn(process.execPath, ['-C', 'anole-source', main, 'image', ...args], {
    cwd: directory,
    env: { ...process.env, ANOLE_CACHE: join(directory, 'cache'), HOME: directory },
    stdio: 'ignore',
  });
  const ended = once(child, 'close');
  while (child.exitCode === null && entries(place).every((name) => before.has(name)))
    await sleep(2);
  await sleep(after);
  child.kill('SIGKILL');
  await ended;
}

function entries(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** What a layout calls by a digest has it, and all that its index leads to is there. */
function checkLayout(directory: string): void {
  const blobs = join(directory, 'blobs/sha256');
  for (const name of entries(blobs).filter((each) => /^[0-9a-f]{64}$/.test(each))) {
    const bytes = readFileSync(join(blobs, name));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), name);
  }
  if (!existsSync(join(directory, 'index.json'))) return;
  const follow = (document: {
    readonly manifests?: readonly { readonly digest: string }[];
    readonly layers?: readonly { readonly digest: string }[];
    readonly config?: { readonly digest: string };
  }) => {
    const { manifests = [], layers = [], config } = document;
    for (const { digest } of [...layers, ...(config ? [config] : [])]) {
      assert.ok(existsSync(join(blobs, digest.slice('sha256:'.length))), digest);
    }
    for (const { digest } of manifests) {
      follow(JSON.parse(readFileSync(join(blobs, digest.slice('sha256:'.length)), 'utf8')));
    }
  };
  follow(JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')));
}

describe('a killed anole image', { skip: needs('skopeo', 'diff') }, () => {
  for (const format of ['erofs', 'rafs']) {
    it(`convert to ${format} leaves a layout sound, and the next one ends the work`, async (test) => {
      const { directory, at, anole } = await world(test);
      const args = ['convert', 'oci:original:a', 'oci:goal:v', '--format', format];
      for (const moment of moments) {
        await killed(directory, at('goal'), moment, args);
        checkLayout(at('goal'));
      }
      succeed(anole(args));
      checkLayout(at('goal'));
      // What killed ones had begun is gone, too.
      assert.deepEqual(entries(at('goal')).toSorted(), [
        '.anole-lock',
        'blobs',
        'index.json',
        'oci-layout',
      ]);
      succeed(anole(['check', 'oci:goal:v']));
      assert.equal(succeed(anole(['diff', 'oci:goal:v', 'oci:original:a'])), '');
      run('skopeo', 'inspect', '--raw', `oci:${at('goal')}:v`);
    });
  }

  it('unpack leaves no directory that is not whole', async (test) => {
    const { directory, at, anole } = await world(test);
    mkdirSync(at('place'));
    const args = ['unpack', 'oci:original:a', 'place/goal', '--no-owners'];
    for (const moment of moments) {
      if (existsSync(at('place/goal'))) break;
      await killed(directory, at('place'), moment, args);
      if (existsSync(at('place/goal'))) run('diff', '-r', at('place/goal'), at('judge'));
    }
    if (!existsSync(at('place/goal'))) succeed(anole(args));
    run('diff', '-r', at('place/goal'), at('judge'));
  });
});
