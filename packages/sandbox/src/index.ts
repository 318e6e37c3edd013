/**
 * Commands in virtual machines: streams, terminals, signals, exit codes.
 *
 * @example
 * import { run } from '@anole/sandbox';
 * const command = await run('os:base', ['uname', '-a']);
 * for await (const bytes of command.stdout) process.stdout.write(bytes);
 * process.exitCode = (await command.exit).code;
 */

export type { NetworkEvent } from '@anole/net';
export { type BrowserFiles, type BrowserFilesOptions, browserFiles } from './browser-template.ts';
export {
  type CommandExit,
  type ExecOptions,
  SandboxCommand,
} from './command.ts';
export type { ImageExecution } from './container-image.ts';
export type { TerminalSize } from './engine/engine.ts';
export { type SandboxCode, SandboxError } from './errors.ts';
export type { FileToWrite, SandboxFiles } from './files/files.ts';
export type { FileEvent, FileInfo, NewFileOptions } from './files/messages.ts';
export type { Input } from './input.ts';
export type { Limit, SandboxEnd, SandboxEvents, SandboxState, SandboxStats } from './lifecycle.ts';
export type { NetworkOptions, PublishedPort } from './network/options.ts';
export type {
  AttachOptions,
  ForkOptions,
  RestoreOptions,
  SandboxOptions,
  SnapshotOptions,
  Volume,
} from './options.ts';
export { type PoolOptions, SandboxPool } from './pool.ts';
export type { PrepareOptions } from './prepare.ts';
export { type RunOptions, run } from './run.ts';
export { Sandbox } from './sandbox.ts';
export type { Description as SavedSandbox, RunningCommand } from './saved/description.ts';
export { type SignalName, signalName, signalNumber } from './signals.ts';
