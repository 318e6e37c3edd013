#!/usr/bin/env node
// Where the command starts: plain JavaScript, which any Node since 18 can read. A Node that is new
// enough goes on in this process: a second one would take as long as much of what is to be done.
import { existsSync, readFileSync, statSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const floor = 24;

if (Number.parseInt(process.versions.node, 10) >= floor) await run();
else (await import('./relaunch.js')).relaunch(floor);

async function run() {
  const source = new URL('../src/main.ts', import.meta.url);
  const fromSource = existsSync(source);
  const bundle = fromSource ? freshBundle() : undefined;
  // Before the first module that has types: removing them takes longer than all the rest of a start.
  nodeModule.enableCompileCache();
  if (fromSource) resolveToSource();
  silenceExperiments();
  // For threads, which start from a module of it, too (`startThread` of @anole/host), and `machineStamp`.
  if (bundle) globalThis[Symbol.for('anole.bundle')] = bundle;
  const main = fromSource ? source.href : new URL('../dist/main.js', import.meta.url).href;
  await import(bundle?.entries[main] ?? main);
}

/**
 * The index of what `tools/bundle.ts` made of the sources, if those are still what they were;
 * ANOLE_BUNDLE=0 has the sources run all the same.
 */
function freshBundle() {
  if (process.env.ANOLE_BUNDLE === '0') return undefined;
  const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
  const directory = join(root, 'node_modules/.cache/anole-bundle');
  try {
    const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'));
    if (index.root !== root) return undefined;
    for (const [path, size, time] of index.stamps) {
      const found = statSync(`${root}/${path}`);
      if (found.size !== size || Math.floor(found.mtimeMs) !== time) return undefined;
    }
    return index;
  } catch {
    return undefined;
  }
}

/** Does what `-C anole-source` would: packages of this checkout are their sources. */
function resolveToSource() {
  const condition = 'anole-source';
  nodeModule.registerHooks({
    resolve: (specifier, context, next) =>
      specifier.startsWith('@anole/')
        ? next(specifier, { ...context, conditions: [...context.conditions, condition] })
        : next(specifier, context),
  });
  // For threads and processes that are started with these options.
  process.execArgv.push('-C', condition);
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
