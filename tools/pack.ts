// `npm run pack -- DIRECTORY`: the packages as they are published, each a tarball of npm's. Nothing of them is needed
// in a checkout, where the sources run as they are. See docs/decisions/0275.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { rolldown } from 'rolldown';
import { bundle, root } from './bundling.ts';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, { readonly 'anole-source': string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** Modules that nothing imports: they are found by their address, to be threads, processes or a page. */
const started = [
  'src/**/*.d.ts',
  'src/main.ts',
  'src/agent/main.ts',
  'src/demo/page.ts',
  'src/**/*-{worker,peer}.ts',
];
/** The package that has the command, and so the bundle. */
const command = 'cli';

const [target] = process.argv.slice(2);
if (target === undefined) {
  console.error('usage: npm run pack -- DIRECTORY');
  process.exit(2);
}
const directory = resolve(target);
mkdirSync(directory, { recursive: true });
if (readdirSync(directory).length > 0) {
  console.error(`Cannot pack into ${directory}: it is not empty\n  next: give another directory`);
  process.exit(1);
}
const names = readdirSync(join(root, 'packages')).sort();
// Below the packages that npm installed, so that what modules import is found.
const stage = mkdtempSync(join(root, 'node_modules/.pack-'));
try {
  compile();
  await bundleCommand();
  for (const name of names) pack(name);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** Makes JavaScript and declarations of all that the packages export or start, and of what that imports. */
function compile(): void {
  const entries = names.flatMap((name) => {
    const home = join(root, 'packages', name);
    const exported = Object.values(manifestOf(name).exports).map((each) => each['anole-source']);
    return [...exported, ...globSync(started, { cwd: home })].map((file) => join(home, file));
  });
  // A module of a package that another one imports is not written unless it is named.
  const all = tsc(entries, '--listFilesOnly').split('\n');
  const packages = `${join(root, 'packages')}${sep}`;
  tsc(all.filter((file) => file.startsWith(packages) && !file.endsWith('.json')));
}

/** What the compiler prints. */
function tsc(files: readonly string[], ...options: readonly string[]): string {
  const config = join(stage, 'tsconfig.json');
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    rootDir: join(root, 'packages'),
    outDir: join(stage, 'emitted'),
  };
  writeFileSync(
    config,
    JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, files, include: [] }),
  );
  return run(join(root, 'node_modules/.bin/tsc'), ['-p', config, ...options], root);
}

/** Bundles the command, for which modules are named by their packages: `@anole/vfs/tree.js`. */
async function bundleCommand(): Promise<void> {
  const to = join(built(command), 'bundle');
  mkdirSync(to);
  const address = (source: string): string => {
    const [scope, name, ...path] = builtName(source).split('/');
    return `new URL('${path.join('/')}', import.meta.resolve('${scope}/${name}')).href`;
  };
  const { files } = await bundle({ make: rolldown, to, address, isAlone: true });
  const places = files.map(([source, file]) => [builtName(source), file]);
  const index = { entries: Object.fromEntries(places), machine: hashOf(built('machine')) };
  writeFileSync(join(to, 'index.json'), JSON.stringify(index));
}

/** What a source becomes. */
function builtName(source: string): string {
  const [name, , ...path] = relative(join(root, 'packages'), source).split(sep);
  return ['@anole', name, ...path].join('/').replace(/\.ts$/, '.js');
}

/** Where what was made of a package lies. */
function built(name: string): string {
  return join(stage, 'emitted', name, 'src');
}

function hashOf(tree: string): string {
  const hash = createHash('sha256');
  for (const name of globSync('**/*.js', { cwd: tree }).sort()) {
    hash.update(`${name}\n`).update(readFileSync(join(tree, name)));
  }
  return hash.digest('hex').slice(0, 32);
}

function pack(name: string): void {
  const home = join(root, 'packages', name);
  const staged = join(stage, name);
  const manifest = manifestOf(name);
  mkdirSync(staged);
  renameSync(built(name), join(staged, 'dist'));
  for (const file of manifest.files) {
    if (existsSync(join(home, file))) {
      cpSync(join(home, file), join(staged, file), { recursive: true });
    }
  }
  cpSync(join(root, 'LICENSE'), join(staged, 'LICENSE'));
  const given = name === command ? { ...manifest, dependencies: allDependencies() } : manifest;
  writeFileSync(join(staged, 'package.json'), `${JSON.stringify(published(given), null, 2)}\n`);
  run('npm', ['pack', '--silent', '--pack-destination', directory], staged);
}

/** Without what only a checkout has: its sources, and what they are tested with. */
function published({ devDependencies: _, exports, ...rest }: Manifest): object {
  const conditions = Object.entries(exports).map(([path, { 'anole-source': __, ...others }]) => [
    path,
    others,
  ]);
  return { ...rest, exports: Object.fromEntries(conditions) };
}

/** What all packages import: the bundle has their modules in it. */
function allDependencies(): Manifest['dependencies'] {
  const manifests = names.map(manifestOf).filter(({ name }) => name !== `@anole/${command}`);
  const own = manifests.map(({ name, version }) => [name, version] as const);
  const others = [command, ...names].flatMap((name) =>
    Object.entries(manifestOf(name).dependencies),
  );
  return Object.fromEntries([...own, ...others].sort(([one], [other]) => (one < other ? -1 : 1)));
}

function manifestOf(name: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
}

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 24,
  });
  if (status === 0) return stdout;
  process.stderr.write(stdout ?? '');
  throw new Error(`Cannot run ${program} ${args.join(' ')}`);
}
