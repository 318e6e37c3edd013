/**
 * Options for a `Worker` of ours. Threads inherit Node's options, and with `--input-type` (a program
 * from `-e` or standard input) none can start from a file: then only the conditions, which say where
 * modules are, are passed on.
 */
export function threadArguments(given: readonly string[] = process.execArgv): {
  execArgv?: string[];
} {
  if (!given.some((word) => word.startsWith('--input-type'))) return {};
  const execArgv = given.flatMap((word, at) => {
    if (word.startsWith('--conditions=')) return [word];
    const next = given[at + 1];
    return (word === '-C' || word === '--conditions') && next !== undefined ? ['-C', next] : [];
  });
  return { execArgv };
}
