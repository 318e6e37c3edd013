// The FUSE server under programs that know nothing of it, through the kernel's own client. What the
// kernel's tmpfs answers to the same calls is the judge.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type FuseOptions, FuseServer } from '@anole/fuse';
import { hostTree, hostVolume, mountFuse } from '@anole/host';
import {
  describeDifferences,
  memoryOverlay,
  type Tree,
  type TreeNode,
  type WritableTree,
} from '@anole/vfs';

/** Opcode of linux/fuse.h. */
const LOOKUP = 1;
const scripts = join(import.meta.dirname, 'fuse');
const scratch = mkdtempSync(join(tmpdir(), 'anole-fuse-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Why this machine cannot do it, or false. */
function without(...tools: readonly string[]): string | false {
  if (process.geteuid?.() !== 0) return 'needs root to mount';
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch {
    return 'the kernel has no /dev/fuse';
  }
  const missing = ['mount', ...tools].find((tool) => {
    return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined;
  });
  return missing === undefined ? false : `${missing} is not installed`;
}

function directory(): string {
  return mkdtempSync(join(scratch, 'd-'));
}

/** Runs a program, and not synchronously: this process serves what it asks for. */
async function run(program: string, ...args: string[]): Promise<string> {
  const done = await promisify(execFile)(program, args, { maxBuffer: 2 ** 26 });
  return done.stdout;
}

const shell = (script: string, ...args: string[]) => run('sh', '-euc', script, 'sh', ...args);

async function mounted(
  context: TestContext,
  tree: Tree | WritableTree,
  options: FuseOptions & { readonly onRequest?: (request: Uint8Array) => void } = {},
): Promise<{ path: string; server: FuseServer; unmount: () => Promise<void> }> {
  const path = directory();
  const unforeseen: unknown[] = [];
  const onError = (error: unknown) => unforeseen.push(error);
  const server = new FuseServer(tree, { ...options, onError });
  const mount = await mountFuse(path, (request) => {
    options.onRequest?.(request);
    return server.handle(request);
  });
  let open = true;
  const unmount = async () => {
    if (!open) return;
    open = false;
    await mount.close();
    assert.deepEqual(unforeseen, []);
  };
  context.after(unmount);
  return { path, server, unmount };
}

/** A directory with some of everything. */
function lower(): string {
  const root = directory();
  for (let index = 0; index < 30; index++) {
    const at = join(root, `d${index % 5}`, `e${index % 3}`);
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, `file${index}`), Buffer.alloc(index * 3001, `content of ${index} `));
  }
  spawnSync('sh', ['-c', 'cd "$1"; ln d0/e0/file0 hard; ln -s d1 soft; mkfifo pipe', 'sh', root]);
  return root;
}

const modes: Readonly<Record<string, FuseOptions>> = {
  'with writes gathered by the kernel': {},
  'with writes passed on at once': { writebackCache: false },
  'with a tree that others may change': { exclusive: false },
  'with small transfers': { maxTransfer: 4096, writebackCache: false },
};

describe('FuseServer under the kernel', () => {
  for (const [mode, options] of Object.entries(modes)) {
    it(`answers as tmpfs does, ${mode}`, { skip: without('python3') }, async (context) => {
      const expected = directory();
      await run('mount', '-t', 'tmpfs', 'tmpfs', expected);
      context.after(() => run('umount', expected));
      const script = join(scripts, 'posix.py');
      const { path } = await mounted(context, memoryOverlay(), options);
      const [here, there] = await Promise.all([
        run('python3', script, path),
        run('python3', script, expected),
      ]);
      assert.equal(here, there);
      assert.ok(there.split('\n').length > 130);
    });

    it(`keeps a file as a model does, ${mode}`, { skip: without('python3') }, async (context) => {
      const { path } = await mounted(context, memoryOverlay(), options);
      const said = await run(
        'python3',
        join(scripts, 'fsx.py'),
        join(path, 'f'),
        '20261123',
        '800',
      );
      assert.equal(said, 'ok\n');
    });
  }

  it('is asked for no names of a directory that was listed', {
    skip: without(),
  }, async (context) => {
    const below = directory();
    await shell('cd "$1"; mkdir d; for n in $(seq 300); do echo $n > d/file$n; done', below);
    using tree = hostTree(below);
    let lookups = 0;
    const onRequest = (request: Uint8Array) => {
      const opcode = new DataView(request.buffer, request.byteOffset).getUint32(4, true);
      if (opcode === LOOKUP) lookups++;
    };
    const { path } = await mounted(context, memoryOverlay({ root: tree.root }), { onRequest });
    const text = await shell('cat "$1"/d/*', path);
    assert.equal(text.split('\n').length, 301);
    assert.ok(lookups < 10, `${lookups} requests`);
  });

  it('shows and changes the tree below as overlays do', {
    skip: without('tar'),
  }, async (context) => {
    const below = lower();
    const before = await shell(
      'cd "$1"; find . -ls; find . -type f | sort | xargs sha256sum',
      below,
    );
    using tree = hostTree(below);
    const overlay = memoryOverlay({ root: tree.root });
    const { path, unmount } = await mounted(context, overlay);
    await shell('diff -r --no-dereference -x pipe "$1" "$2"', below, path);
    const twin = directory();
    const change = `
      cp -a "$2/." "$1/twin-of-lower"; tar -C "$1" -cf - d1 d2 | (mkdir "$1/t"; tar -C "$1/t" -xf -)
      cd "$1"; mv d0 moved; mv moved/e1 d1/new; echo more >> d3/e0/file3; rm -r d4; mkdir d4
      ln d2/e2/file2 d4/link; rm hard soft pipe; ln -s nowhere soft; chmod 600 d2/e1/file7
      touch -d @1000000000 d2/e2/file17; truncate -s 100 d4/../d2/e1/file22; mkdir -p x/y/z`;
    await shell(change, path, below);
    await shell('cp -a "$1/." "$2"', below, twin);
    await shell(change, twin, below);
    await unmount();
    using expected = hostTree(twin);
    const options = { ignore: ['mtime'] } as const;
    assert.equal(await describeDifferences(overlay, expected, options), '');
    const now = await shell('cd "$1"; find . -ls; find . -type f | sort | xargs sha256sum', below);
    assert.equal(now, before, 'the tree below is as it was');
  });

  it('serves git', { skip: without('git') }, async (context) => {
    const { path, server } = await mounted(context, memoryOverlay());
    await shell(
      `export HOME="$1" GIT_CONFIG_NOSYSTEM=1; git init -q "$1/repo"; cd "$1/repo"
      git config user.name n; git config user.email e@example.org; cp -r "$2/." .; rm pipe
      git add .; git commit -qm one; git mv d1 e1; git commit -qm two; git gc -q; git fsck --strict
      test -z "$(git status --porcelain)"; git checkout -q HEAD~1; test -d d1; rm -r "$1/repo"`,
      path,
      lower(),
    );
    assert.equal(await run('ls', '-A', path), '');
    assert.ok(server.knownNodes < 20, `${server.knownNodes} nodes are known`);
  });

  it('serves a database with its locks and mappings', {
    skip: without('python3'),
  }, async (context) => {
    const { path } = await mounted(context, memoryOverlay());
    const said = await run('python3', join(scripts, 'database.py'), path);
    assert.equal(said, 'delete ok\nwal ok\n');
  });

  it('serves many at once over a slow tree', { skip: without() }, async (context) => {
    const below = lower();
    using tree = hostTree(below);
    const { path } = await mounted(context, memoryOverlay(slow(tree)));
    await shell(
      `cd "$1"; for i in 1 2 3 4; do (cp -r d1 new$i; echo $i >> d2/e2/file2; rm -r new$i) & done
      wait; diff -r --no-dereference -x pipe -x file2 "$1" "$2"`,
      path,
      below,
    );
    const added = await shell('tail -c 8 "$1/d2/e2/file2" | sort | tr -d "\\n"', path);
    assert.equal(added, '1234');
  });

  it('says when it is full, and goes on', { skip: without('dd') }, async (context) => {
    const { path } = await mounted(context, memoryOverlay(undefined, { maxBytes: 2 ** 20 }));
    await shell(
      `cd "$1"; ! dd if=/dev/zero of=big bs=64k count=64 2>err; rm -f big err
      dd if=/dev/zero of=fits bs=64k count=12 2>/dev/null; test "$(stat -c %s fits)" = 786432`,
      path,
    );
  });

  it('serves a directory of the host, which others change', {
    skip: without('tar'),
  }, async (context) => {
    const host = directory();
    using volume = hostVolume(host);
    const { path } = await mounted(context, volume, { exclusive: false });
    await shell('tar -C "$2" --exclude pipe -cf - . | tar -C "$1" -xf -', path, lower());
    await shell('diff -r --no-dereference "$1" "$2"', path, host);
    await shell(
      'echo from the host > "$2/new"; test "$(cat "$1/new")" = "from the host"',
      path,
      host,
    );
    await shell(
      'mv "$1/d1" "$1/d9"; rm -r "$1/d2"; diff -r --no-dereference "$1" "$2"',
      path,
      host,
    );
    const fsx = [join(scripts, 'fsx.py'), join(path, 'new'), '20261123', '400', 'plain'];
    assert.equal(await run('python3', ...fsx), 'ok\n');
    assert.equal((await run('ls', host)).split('\n').join(' '), 'd0 d3 d4 d9 hard new soft ');
  });
});

/** The same tree, every answer of which comes a turn later. */
function slow(tree: Tree): Tree {
  const wrap = (node: TreeNode): TreeNode => ({
    stat: node.stat,
    lookup: async (name) => {
      await turn();
      const found = await node.lookup(name);
      return found && wrap(found);
    },
    list: async () => turn().then(() => node.list()),
    readLink: async () => turn().then(() => node.readLink()),
    read: async (offset, length) => turn().then(() => node.read(offset, length)),
    xattrs: async () => turn().then(() => node.xattrs()),
  });
  return { root: wrap(tree.root) };
}
