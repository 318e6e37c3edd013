import { runCommandLine } from './command-line.ts';

// Whoever read standard output has gone (`anole fs ls … | head`): end as SIGPIPE would have it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(128 + 13);
  process.stderr.write(`anole: Cannot write standard output: ${error.message}\n`);
  process.exit(process.exitCode || 1); // `act` has set what the command's failures give
});
// Nothing is left to tell anyone when standard error is gone; the work goes on.
process.stderr.on('error', () => {});

// A launcher (of an older Node: `bin/relaunch.js`) that is killed outright cannot pass that on: this process notices that it was adopted.
const launcher = Number(process.env['ANOLE_LAUNCHER']);
if (process.ppid === launcher) {
  const watch = () => process.ppid === launcher || process.kill(process.pid, 'SIGTERM');
  setInterval(watch, 1000).unref();
}

await runCommandLine(process.argv);
// Nothing of it goes on. What Node would free piece by piece and thread by thread ends with the process.
if (process.argv[2] === 'run') {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
  process.exit();
}
