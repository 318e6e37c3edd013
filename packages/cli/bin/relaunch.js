// For a Node that is older than anole's floor: runs the command under the one that npm installed beside
// it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('./anole.js', import.meta.url));

/** Runs this command again under another Node, and ends as it does. */
export function relaunch(floor) {
  const node = pinnedNode(floor);
  const child = spawn(node, [entry, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, ANOLE_LAUNCHER: String(process.pid) },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) {
    const key = signal === 'SIGINT' || signal === 'SIGQUIT';
    // A key of the terminal reaches the child too; a kill reaches only this process, and is passed on.
    process.on(signal, () => (key && inForeground()) || child.kill(signal));
  }
  child.on('error', (error) => {
    process.stderr.write(`anole: cannot start ${node}: ${error.message}\n`);
    process.exitCode = 125;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** Whether the terminal's keys signal this process group (proc(5): fields pgrp and tpgid). */
function inForeground() {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY === true;
  }
}

/** The Node of the optional dependency `node-linux-<arch>`, pinned in package.json. */
function pinnedNode(floor) {
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve(`node-linux-${process.arch}/package.json`)), 'bin/node');
  } catch {
    process.stderr.write(
      `anole: needs Node ${floor} or later; this is ${process.version}, and npm installed none for ` +
        `${process.platform}-${process.arch}\n  next: install Node ${floor}, or node-linux-${process.arch} beside anole\n`,
    );
    process.exit(125);
  }
}
