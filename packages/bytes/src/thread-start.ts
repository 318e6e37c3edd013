/** What `tools/bundle.ts` made of the sources, where the command runs from that (`bin/anole.js` of @anole/cli). */
interface Bundle {
  /** Files by the addresses of the modules whose place they take. */
  readonly entries: Readonly<Record<string, string>>;
  /** Stands for the code of @anole/machine. */
  readonly machine: string;
  /** Throws where the sources have changed since. */
  check(): void;
  /** Has names of packages lead to their sources, which the bundle itself does without. */
  findSources(): void;
}

/** Undefined where the modules themselves run. */
export function bundle(): Bundle | undefined {
  return Reflect.get(globalThis, Symbol.for('anole.bundle'));
}

/**
 * Code that starts a module in a thread of Node's. Threads do not inherit the compile cache, and removing types takes
 * longer than all the rest of a start.
 */
export function threadCode({ href }: URL): string {
  const here = bundle();
  const file = here?.entries[href];
  const start = `require('node:module').enableCompileCache();`;
  if (here === undefined || file === undefined) return `${start} import(${JSON.stringify(href)});`;
  return `${start} ${handOn(here)} import(${JSON.stringify(file)}).catch(${told});`;
}

/** A process that lives for days may outlive its bundle, whose files have other names in the next one. */
const told = `(error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  throw new Error('Cannot start a thread: anole was installed anew since this process started, which has to end');
}`;

/**
 * A thread starts others, which shall find the bundle, too. Who started the first has checked the sources, and options
 * lead a thread's names of packages to them.
 */
function handOn({ entries, machine }: Bundle): string {
  const there = JSON.stringify({ entries, machine });
  return `globalThis[Symbol.for('anole.bundle')] = { ...${there}, check() {}, findSources() {} };`;
}

/** Options of Node's that mean something to a thread: where modules are, warnings, profiles. */
const meant = /^(?:-C|--conditions|--disable-warning|--no-warnings|--(?:cpu|heap)-prof.*)(?:=|$)/;

/**
 * Of Node's options those for a thread. It would inherit what the process was started with, but not
 * what our launcher did in its place; and of a program from the command line, that it is one.
 */
export function threadArguments(given: readonly string[] = process.execArgv): string[] {
  return given.flatMap((word, at) => {
    if (!meant.test(word)) return [];
    const value = given[at + 1];
    const apart = (word === '-C' || word === '--conditions') && value !== undefined;
    return apart ? [word, value] : [word];
  });
}
