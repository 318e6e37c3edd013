#!/usr/bin/env node
// Where the command starts: plain JavaScript, which any Node since 18 can read. A Node that is new
// enough goes on in this process: a second one would take as long as much of what is to be done.
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';

const floor = 24;

if (Number.parseInt(process.versions.node, 10) >= floor) await run();
else (await import('./relaunch.js')).relaunch(floor);

async function run() {
  const source = new URL('../src/main.ts', import.meta.url);
  const fromSource = existsSync(source);
  // Before the first module that has types: removing them takes longer than all the rest of a start.
  nodeModule.enableCompileCache();
  if (fromSource) resolveToSource();
  silenceExperiments();
  await import(fromSource ? source.href : new URL('../dist/main.js', import.meta.url).href);
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
