import type { ExecOptions, SandboxCommand } from './command.ts';
import type { SandboxOptions } from './options.ts';
import { Sandbox } from './sandbox.ts';

export type RunOptions = SandboxOptions & ExecOptions;

/**
 * Runs one command in a sandbox of its own, which closes when the command ends.
 *
 * @example
 * const command = await run('os:base', ['sh', '-c', 'echo hello; exit 3']);
 * for await (const bytes of command.stdout) process.stdout.write(bytes);
 * console.log((await command.exit).code); // 3
 *
 * @throws as `Sandbox.create` and `Sandbox.exec`
 */
export async function run(
  image: string,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<SandboxCommand> {
  const terminals = options.terminals ?? (options.tty ? 1 : 0);
  const sandbox = await Sandbox.create(image, { ...options, terminals });
  try {
    const command = await sandbox.exec(argv, options);
    const close = () => sandbox.close();
    command.exit.then(close, close);
    return command;
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}
