/**
 * The `anole` command as a function, for programs that start it without a process.
 *
 * @example
 * import { runCommandLine } from '@anole/cli';
 * await runCommandLine(['node', 'anole', 'os', 'list']);
 */
export { runCommandLine } from './command-line.ts';
