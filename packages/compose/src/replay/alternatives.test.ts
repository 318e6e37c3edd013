import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { unpackTree } from '@anole/host';
import { scratch, without } from '../testing/debs.ts';
import { type Alternative, installAlternatives } from './alternatives.ts';
import { Rootfs } from './rootfs.ts';

const editors: readonly Alternative[] = [
  { link: '/usr/bin/editor', name: 'editor', path: '/bin/nano', priority: 40, slaves: [] },
  {
    link: '/usr/bin/editor',
    name: 'editor',
    path: '/usr/bin/vim',
    priority: 60,
    slaves: [{ link: '/usr/share/man/editor.1', name: 'editor.1', path: '/usr/share/man/vim.1' }],
  },
  { link: '/usr/bin/editor', name: 'editor', path: '/usr/bin/gone', priority: 99, slaves: [] },
];

function sample(): Rootfs {
  const rootfs = Rootfs.empty(0);
  rootfs.symlink('/bin', 'usr/bin');
  for (const path of ['/usr/bin/nano', '/usr/bin/vim', '/usr/share/man/vim.1'])
    rootfs.write(path, '');
  installAlternatives(rootfs, editors);
  return rootfs;
}

test('the highest priority that is there is chosen, with its slaves', () => {
  const rootfs = sample();
  assert.equal(rootfs.at('/usr/bin/editor')?.readLink(), '/etc/alternatives/editor');
  assert.equal(rootfs.at('/etc/alternatives/editor')?.readLink(), '/usr/bin/vim');
  assert.equal(rootfs.find('/usr/share/man/editor.1'), rootfs.find('/usr/share/man/vim.1'));
});

test('a slave whose directory the image leaves out is left out', () => {
  const rootfs = Rootfs.empty(0);
  rootfs.write('/usr/bin/vim', '');
  installAlternatives(rootfs, editors);
  assert.equal(rootfs.exists('/usr/share'), false);
  assert.equal(rootfs.exists('/usr/bin/editor'), true);
});

test('update-alternatives reads the record as its own', {
  skip: without('update-alternatives'),
}, async () => {
  using directory = scratch();
  const root = join(directory.path, 'root');
  await unpackTree(sample().tree, root, { owners: false });
  mkdirSync(join(root, 'var/log'), { recursive: true });
  const flags = ['--root', root, '--log', '/dev/null'];
  const shown = execFileSync('update-alternatives', [...flags, '--query', 'editor'], {
    encoding: 'utf8',
  });
  assert.match(
    shown,
    /^Link: \/usr\/bin\/editor\nSlaves:\n editor\.1 \/usr\/share\/man\/editor\.1\nStatus: auto\n/m,
  );
  assert.match(
    shown,
    /Alternative: \/usr\/bin\/vim\nPriority: 60\nSlaves:\n editor\.1 \/usr\/share\/man\/vim\.1/,
  );
  assert.match(shown, /Alternative: \/bin\/nano\nPriority: 40/);
});
