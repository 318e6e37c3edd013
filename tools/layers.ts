// The layer law: a package imports only what its package.json declares, only from lower levels, and
// the packages that run in browsers import nothing of Node's. Run by `npm run check`.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Lowest first. A package may depend on those before its own level; L0 is ordered within itself. */
const levels: readonly (readonly string[])[] = [
  ['bytes'],
  ['vfs'],
  ['host'],
  ['erofs', 'fuse', 'machine', 'net', 'oci'],
  ['compose', 'nydus', 'smc', 'attest'],
  ['sandbox'],
  ['containerd', 'enclave', 'silicon', 'hub'],
  ['cli', 'console'],
];
const forBrowsers = new Set(['bytes', 'vfs', 'erofs', 'fuse', 'machine', 'net', 'oci', 'nydus']);
/** Folder of a package for browsers that runs under Node only; the rest must not import from it. */
const nodePart: Readonly<Record<string, string>> = {
  nydus: 'src/node/',
  oci: 'src/node/',
};

const root = join(import.meta.dirname, '..');
const problems: string[] = [];

for (const name of readdirSync(join(root, 'packages'))) {
  const directory = join(root, 'packages', name);
  const declared = Object.keys(
    JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).dependencies ?? {},
  );
  checkDeclared(name, declared);
  for (const file of sourceFiles(join(directory, 'src'))) checkFile(name, declared, file);
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

function checkDeclared(name: string, declared: readonly string[]): void {
  const level = levelOf(name);
  if (level < 0) problems.push(`packages/${name}: has no level in tools/layers.ts`);
  for (const dependency of declared) {
    const other = /^@anole\/(.+)$/.exec(dependency)?.[1];
    if (other === undefined) {
      if (forBrowsers.has(name) && nodePart[name] === undefined)
        problems.push(`packages/${name}: must not depend on ${dependency}`);
    } else if (levelOf(other) >= level) problems.push(`packages/${name}: ${other} is not below it`);
  }
}

function checkFile(name: string, declared: readonly string[], file: string): void {
  const isTest = /\.(test|fixture)\.ts$/.test(file) || file.includes('/testing/');
  const where = relative(root, file);
  const inPackage = relative(join(root, 'packages', name), file);
  const part = nodePart[name];
  const runsInBrowsers = forBrowsers.has(name) && !(part && inPackage.startsWith(part)) && !isTest;
  for (const specifier of importsOf(readFileSync(file, 'utf8'))) {
    if (specifier.startsWith('.')) {
      if (relative(join(root, 'packages', name), join(file, '..', specifier)).startsWith('..')) {
        problems.push(`${where}: reaches outside its package: ${specifier}`);
      }
      const goal = relative(join(root, 'packages', name), join(file, '..', specifier));
      if (part && runsInBrowsers && goal.startsWith(part))
        problems.push(`${where}: imports ${specifier}, but runs in browsers`);
    } else if (specifier.startsWith('node:')) {
      if (runsInBrowsers) problems.push(`${where}: imports ${specifier}, but runs in browsers`);
    } else {
      const isForBrowsers =
        !specifier.endsWith('/node') &&
        [...forBrowsers].some((each) => `${specifier}/`.startsWith(`@anole/${each}/`));
      if (runsInBrowsers && part && !isForBrowsers)
        problems.push(`${where}: imports ${specifier}, but runs in browsers`);
      const wanted = /^(@[^/]+\/[^/]+|[^/]+)/.exec(specifier)?.[1] ?? specifier;
      if (!declared.includes(wanted) && !isTest)
        problems.push(`${where}: ${wanted} is not declared`);
    }
  }
}

function importsOf(text: string): readonly string[] {
  const code = text.replace(/^\s*(\*|\/\/).*$/gm, '');
  const pattern =
    /^\s*(?:import|export)\s[^'"`;]*?from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...code.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3]!);
}

function levelOf(name: string): number {
  return levels.findIndex((level) => level.includes(name));
}

function sourceFiles(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|tsx|mts)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}
