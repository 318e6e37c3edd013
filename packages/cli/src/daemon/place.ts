import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AnoleError } from '@anole/bytes';

/** Where the daemon of this user is found. */
export interface Place {
  /** Its own directory, which nobody else can enter. */
  readonly directory: string;
  readonly socket: string;
  /** Held by the daemon as long as it lives. */
  readonly lock: string;
  /** What it prints. */
  readonly log: string;
}

/**
 * The daemon's directory, made where it is missing: `$XDG_RUNTIME_DIR/anole`, or `anole-<uid>` among
 * temporary files, where somebody else may have been first: then it is refused.
 *
 * @throws AnoleError `CLI_DAEMON`
 */
export function daemonPlace(): Place {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const uid = process.getuid?.() ?? 0;
  const directory = runtime ? join(runtime, 'anole') : join(tmpdir(), `anole-${uid}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new AnoleError('CLI_DAEMON', `Cannot use ${directory}: others have access to it`, {
      hint: 'Set XDG_RUNTIME_DIR to a directory that is yours alone',
    });
  }
  const at = (name: string) => join(directory, name);
  return { directory, socket: at('daemon.sock'), lock: at('daemon.lock'), log: at('daemon.log') };
}
