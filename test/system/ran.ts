import { spawn } from 'node:child_process';

/** How a program ended, and what it printed. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without input, while the test's own servers go on; after ten minutes it is ended. */
export function runApart(
  program: string,
  args: readonly string[],
  place: { readonly env: NodeJS.ProcessEnv; readonly cwd: string },
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      ...place,
      timeout: 600_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (piece: Buffer) => {
      stdout += piece.toString();
    });
    child.stderr.on('data', (piece: Buffer) => {
      stderr += piece.toString();
    });
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}
