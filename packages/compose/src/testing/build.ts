import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ContentStore } from '@anole/host';
import type { PackageFile } from '../archive/types.ts';
import { loadRecipe } from '../recipe/load.ts';
import { makeLock, writeLock } from '../recipe/lock.ts';
import { makeDeb } from './debs.ts';

/** Packages that make a tiny system: links of merged /usr, users, a program. */
const tinySystem = [
  {
    name: 'base-files',
    architecture: 'riscv64',
    files: {
      bin: '-> usr/bin',
      'usr/bin': undefined,
      'usr/share/base-files/profile': 'umask 022\n',
      'usr/share/doc/base-files/README': 'left out\n',
      'etc/skel/.profile': 'echo hi\n',
      'etc/issue': 'tiny\n',
    },
    control: {
      postinst: '#!/bin/sh\ncp -p /usr/share/base-files/profile /etc/profile\n',
      conffiles: '/etc/issue\n',
    },
  },
  {
    name: 'base-passwd',
    files: {
      'usr/share/base-passwd/passwd.master': 'root:*:0:0:root:/root:/bin/sh\n',
      'usr/share/base-passwd/group.master': 'root:*:0:\nshadow:*:42:\nmail:*:8:\nutmp:*:43:\n',
    },
  },
  {
    name: 'tool',
    fields: { 'Multi-Arch': 'foreign' },
    files: { 'bin/tool': '#!/bin/sh\necho tool\n' },
    control: { postinst: '#!/bin/sh\nmystery --now\n' },
  },
] as const;

/** The recipe file of the tiny system. */
export const tinyRecipe = `description: tiny
suites: [test]
components: [main]
packages: [tool]
essential: false
exclude: [usr/share/doc/**]
hostname: tiny
environment: { LANG: C.UTF-8 }
users:
  - { name: dev, groups: [mail] }
files:
  - { path: /etc/motd, content: "hello\\n" }
  - { path: /opt/link, link: ../etc/motd }
  - { path: /srv/data, directory: true, mode: "0750", owner: 1000 }
`;

/** A directory with a recipe, its lock, and packages to fill caches with: nothing needs a network. */
export interface TinyProject {
  readonly recipe: string;
  readonly packages: readonly (PackageFile & { readonly path: string })[];
  /** A cache that has the packages. */
  cache(name: string): Promise<string>;
}

export async function tinyProject(
  directory: string,
  recipeText = tinyRecipe,
): Promise<TinyProject> {
  const debs = join(directory, 'debs');
  mkdirSync(debs, { recursive: true });
  const recipe = join(directory, 'tiny.yaml');
  writeFileSync(recipe, recipeText);
  const packages = tinySystem.map((deb) => makeDeb(debs, deb));
  const loaded = await loadRecipe(recipe);
  const release = {
    suite: 'test',
    codename: 'test',
    version: '1',
    date: 1_735_700_000,
    uri: '',
    signedBy: [],
  };
  const lock = makeLock(loaded, [release], packages, undefined);
  writeFileSync(join(directory, 'tiny.riscv64.lock.yaml'), writeLock(lock));
  const cache = async (name: string) => {
    const path = join(directory, name);
    const store = new ContentStore(path);
    for (const { sha256, path: deb } of packages) {
      await store.insert(sha256, (partial) => partial.write(readFileSync(deb)));
    }
    return path;
  };
  return { recipe, packages, cache };
}
