import { AnoleError } from '@anole/bytes';
import { FuseServer, readFuseFork, writeFuseFork } from '@anole/fuse';
import { MemoryTree, memoryOverlay, readOverlay, walk, writeOverlay } from '@anole/vfs';
import { parseDescription } from '../../packages/sandbox/src/saved/description.ts';
import type { Target } from './targets.ts';

const encoder = new TextEncoder();

function image(): MemoryTree {
  const tree = new MemoryTree();
  for (const name of ['a', 'd/a', 'd/e/a']) tree.putFile(name, encoder.encode(name.repeat(9)));
  return tree;
}

const store = { read: ({ length }: { readonly length: number }) => new Uint8Array(length) };

/** An overlay with some of everything, and what a kernel knows of it, as lines. */
async function lines(): Promise<Uint8Array> {
  const tree = memoryOverlay(image(), { now: () => ({ seconds: 1, nanoseconds: 2 }) });
  const { root } = tree;
  const made = await root.create('x', { type: 'directory', mode: 0o755, uid: 0, gid: 0 });
  const file = await made.create('f', { type: 'file', mode: 0o644, uid: 1, gid: 1 });
  await file.write(0, encoder.encode('hello'));
  await file.setXattr('user.a', encoder.encode('b'));
  await made.create('l', { type: 'symlink', mode: 0o777, uid: 0, gid: 0, target: '../d' });
  await root.unlink('a');
  const place = ({ length }: { readonly length: number }) => ({ length, offset: 0, sum: 0 });
  const overlay = [...writeOverlay(tree.save(), place)];
  const node = {
    ino: made.stat.ino,
    type: 'directory',
    lookups: 1,
    parentIno: root.stat.ino,
  } as const;
  const told = new Map([['f', 3]]);
  const kernel = writeFuseFork({
    agreed: 1,
    next: 9,
    nodes: [{ ...node, nodeid: 2, name: 'x', told }],
    rootTold: new Map([['a', 0]]),
    drops: [],
  });
  return encoder.encode([...overlay, '', ...kernel].join('\n'));
}

const about = {
  ...{ saved: 1, image: 'os:base', hostname: 'box', environment: { A: 'b' }, maxProcesses: 9 },
  ...{ execution: { entrypoint: [], cmd: ['sh'] }, next: 3, commands: [{ id: 1, argv: ['sh'] }] },
  ...{
    volumes: [
      { path: '/v', directory: '/tmp', readOnly: true },
      { path: '/i', name: 'x', image: { kind: 'tar', path: '/x' }, fingerprint: 'x' },
    ],
    labels: {},
    memoryMiB: 128,
  },
  ...{
    root: { kind: 'erofs', path: '/x' },
    fingerprint: 'x',
    cpus: 1,
    terminals: 2,
    maxWritten: 9,
  },
  network: { policy: { public: true, allow: ['*'] }, publish: [], dns: ['192.0.2.1'] },
};

/** What the file of a saved sandbox says, once its sums are right. */
export const saved: Target = {
  name: 'saved',
  seeds: new Map([
    ['lines', await lines()],
    ['description', encoder.encode(JSON.stringify(about))],
  ]),
  async run(bytes) {
    const kinds = new Set<string>();
    try {
      if (bytes[0] === 0x7b && bytes.indexOf(10) < 0) {
        kinds.add(`description ${Object.keys(parseDescription(bytes)).length}`);
      } else await restore(new TextDecoder().decode(bytes), kinds);
    } catch (error) {
      if (error instanceof SyntaxError) kinds.add('no JSON');
      else if (AnoleError.is(error)) kinds.add(`${error.code} ${error.message}`.slice(0, 90));
      else throw error;
    }
    return kinds;
  },
};

async function restore(text: string, kinds: Set<string>): Promise<void> {
  const [overlay = '', kernel = ''] = text.split('\n\n');
  const tree = memoryOverlay(image());
  await tree.restore(readOverlay(overlay.split('\n')), store);
  let count = 0;
  for await (const { node } of walk(tree)) {
    if (++count > 1000) throw new Error('a walk does not end');
    if (node.stat.type === 'file' && node.stat.size < 1e6) await node.read(0, node.stat.size);
    kinds.add(`${node.stat.type} ${node.stat.nlink}`);
  }
  const server = new FuseServer(tree);
  server.continueFork(readFuseFork(kernel.split('\n')), (ino) => tree.node(ino));
  kinds.add(`known ${server.knownNodes}`);
}
