import { enableCompileCache } from 'node:module';

// Whoever read standard output has gone (`anole fs ls … | head`): end as SIGPIPE would have it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(128 + 13);
  throw error;
});

enableCompileCache();
const { runCommandLine } = await import('./command-line.ts');
await runCommandLine(process.argv);
