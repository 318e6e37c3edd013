import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { PackageFile } from '../archive/types.ts';

/** A package to make for a test. */
export interface DebRecipe {
  readonly name: string;
  readonly version?: string;
  readonly architecture?: string;
  /** Further fields of the control file. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Path to content; `-> target` makes a symbolic link, undefined a directory. */
  readonly files?: Readonly<Record<string, string | Uint8Array | undefined>>;
  readonly control?: Readonly<Record<string, string>>;
  readonly compression?: 'none' | 'gzip' | 'xz' | 'zstd';
}

/** Reason to skip tests that need a tool, or false where it is there. */
export function without(tool: string, ...args: string[]): string | false {
  try {
    execFileSync(tool, args.length > 0 ? args : ['--version'], { stdio: 'ignore' });
    return false;
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return isMissing ? `${tool} is not installed` : false;
  }
}

/** A directory that is removed at the end of the scope. */
export function scratch(): { readonly path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'anole-compose-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Makes a package with dpkg-deb, dated 2025-01-01 throughout. */
export function makeDeb(
  directory: string,
  recipe: DebRecipe,
): PackageFile & { readonly path: string } {
  const { name, version = '1.0-1', architecture = 'all', compression = 'xz' } = recipe;
  const root = mkdtempSync(join(directory, 'tree-'));
  chmodSync(root, 0o755);
  for (const [path, content] of Object.entries(recipe.files ?? {})) put(join(root, path), content);
  const fields = {
    Package: name,
    Version: version,
    Architecture: architecture,
    Maintainer: 'Nobody <nobody@example.org>',
    ...recipe.fields,
    Description: 'made for a test',
  };
  mkdirSync(join(root, 'DEBIAN'));
  const control = Object.entries(fields).map((pair) => `${pair.join(': ')}\n`);
  writeFileSync(join(root, 'DEBIAN/control'), control.join(''));
  for (const [file, text] of Object.entries(recipe.control ?? {})) {
    writeFileSync(join(root, 'DEBIAN', file), text, {
      mode: /(inst|rm)$/.test(file) ? 0o755 : 0o644,
    });
  }
  const path = join(directory, `${name}_${version}_${architecture}.deb`);
  const flags = ['--root-owner-group', '--nocheck', `-Z${compression}`, '--uniform-compression'];
  execFileSync('dpkg-deb', [...flags, '--build', root, path], {
    stdio: 'pipe',
    env: { ...process.env, SOURCE_DATE_EPOCH: '1735689600' },
  });
  rmSync(root, { recursive: true });
  const bytes = readFileSync(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return {
    name,
    version,
    architecture,
    suite: 'test',
    filename: path.slice(1),
    size: bytes.length,
    sha256,
    path,
  };
}

function put(path: string, content: string | Uint8Array | undefined): void {
  mkdirSync(dirname(path), { recursive: true });
  if (content === undefined) mkdirSync(path, { recursive: true });
  else if (typeof content === 'string' && content.startsWith('-> '))
    symlinkSync(content.slice(3), path);
  else
    writeFileSync(path, content, { mode: /^#!/.test(String(content.slice(0, 2))) ? 0o755 : 0o644 });
}
