#!/usr/bin/env node
// Where the command starts: plain JavaScript, which any Node since 18 can read. A Node that is new
// enough goes on in this process: a second one would take as long as much of what is to be done.

const floor = 24;
const condition = 'anole-source';
// Who imports a module of Node's has Node load all that it can do.
const builtin = process.getBuiltinModule ?? ((name) => import(name));
const { existsSync, readFileSync, statSync } = await builtin('node:fs');
const nodeModule = await builtin('node:module');
const { dirname, join } = await builtin('node:path');
const { fileURLToPath } = await builtin('node:url');

if (Number.parseInt(process.versions.node, 10) >= floor) await run();
else (await import('./relaunch.js')).relaunch(floor);

async function run() {
  const source = new URL('../src/main.ts', import.meta.url);
  const fromSource = existsSync(source);
  const bundle = process.env.ANOLE_BUNDLE === '0' ? undefined : findBundle(fromSource);
  // Before the first module that has types: removing them takes longer than all the rest of a start.
  nodeModule.enableCompileCache();
  // For threads and processes that are started with these options.
  if (fromSource) process.execArgv.push('-C', condition);
  silenceExperiments();
  const main = fromSource ? source.href : new URL('../dist/main.js', import.meta.url).href;
  const findSources = fromSource ? resolveToSource : () => {};
  if (bundle && (await runBundle({ ...bundle, findSources }, main))) return;
  findSources();
  await import(main);
}

/** Runs the command from its bundle. False: it found that the sources have changed, and did nothing. */
async function runBundle(bundle, main) {
  const changed = Symbol('the sources have changed');
  const check = () => {
    if (!isFresh(bundle)) throw changed;
  };
  // For threads, which start from a module of it, too (`startThread` of @anole/host), `machineStamp`, and the
  // command: it checks the sources while its thread starts (`command-line.ts`).
  globalThis[Symbol.for('anole.bundle')] = { ...bundle, check };
  try {
    await import(bundle.entries[main]);
    return true;
  } catch (error) {
    if (error !== changed) throw error;
    delete globalThis[Symbol.for('anole.bundle')];
    return false;
  }
}

/**
 * The index of what `tools/bundle.ts` made of the sources, or `tools/pack.ts` of what is published;
 * ANOLE_BUNDLE=0 has the modules run all the same.
 */
function findBundle(fromSource) {
  try {
    return fromSource ? bundleOfSources() : publishedBundle();
  } catch {
    return undefined;
  }
}

function bundleOfSources() {
  const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
  const file = join(root, 'node_modules/.cache/anole-bundle/index.json');
  const index = JSON.parse(readFileSync(file, 'utf8'));
  return index.root === root ? index : undefined;
}

/** Nothing is looked at there: its packages have exact versions of each other. */
function publishedBundle() {
  const directory = new URL('../dist/bundle/', import.meta.url);
  const { machine, entries } = JSON.parse(readFileSync(new URL('index.json', directory), 'utf8'));
  const files = Object.entries(entries).map(([name, file]) => {
    const [, home, path] = /^(@anole\/[^/]+)\/(.*)$/.exec(name);
    return [new URL(path, import.meta.resolve(home)).href, new URL(file, directory).href];
  });
  return { machine, entries: Object.fromEntries(files), stamps: [] };
}

/** Whether the sources are still what they were when the bundle was made. */
function isFresh({ root, stamps }) {
  return stamps.every(([path, size, time]) => {
    const found = statSync(`${root}/${path}`, { throwIfNoEntry: false });
    return found?.size === size && Math.floor(found.mtimeMs) === time;
  });
}

/** Does what `-C anole-source` would: packages of this checkout are their sources. The bundle has what it uses of them. */
function resolveToSource() {
  nodeModule.registerHooks({
    resolve: (specifier, context, next) =>
      specifier.startsWith('@anole/')
        ? next(specifier, { ...context, conditions: [...context.conditions, condition] })
        : next(specifier, context),
  });
}

/** Does what `--disable-warning=ExperimentalWarning` would: SQLite is one, which holds our locks. */
function silenceExperiments() {
  const emit = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === 'object' ? rest[0]?.type : rest[0];
    if (type !== 'ExperimentalWarning') emit.call(process, warning, ...rest);
  };
  process.execArgv.push('--disable-warning=ExperimentalWarning');
}
