// Runs Python that nobody has read, with a bound on everything, and says how it ended.
//
//   node examples/untrusted-python.ts < script.py
import { text } from 'node:stream/consumers';
import { type Limit, Sandbox, SandboxError } from '@anole/sandbox';

const script = await text(process.stdin);

await using sandbox = await Sandbox.create('os:python', {
  memoryMiB: 256, // of the whole machine
  maxProcesses: 32, // and threads
  maxWritten: 64 << 20, // bytes of files
  cpuShare: 0.5, // of one processor
  lifetime: 300_000, // ms, whatever happens
  // No network: that is the default.
});
const met = new Set<Limit>();
sandbox.on('limit', (limit) => met.add(limit));

await sandbox.files.write('/work/script.py', script, { user: 'nobody' });
const command = await sandbox.exec(['python3', '/work/script.py'], {
  user: 'nobody',
  cwd: '/work',
  timeout: 120_000, // ms of this command
});
try {
  const { exit, stdout } = await command.output({ maxOutput: 100_000 });
  process.stdout.write(stdout);
  console.log(`exit code ${exit.code}`);
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  console.log(`stopped: ${error.code}`);
}
if (met.size > 0) console.log(`limits met: ${[...met].sort().join(', ')}`);
