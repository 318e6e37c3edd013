import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { daemonPlace } from '../daemon/place.ts';
import { runDaemon } from '../daemon/server.ts';
import { act } from '../frame.ts';
import { durationOf } from '../run/arguments.ts';

const help = `
It is started by 'anole run --detach' and the commands for sandboxes that live on, and ends by itself
when there are none. Sandboxes live in its process and end with it. It listens on a socket in
$XDG_RUNTIME_DIR/anole, or /tmp/anole-UID, that is its user's alone.

Examples:
  anole daemon
  anole daemon --idle 1h`;

/** `anole daemon`: holds sandboxes that outlive a command line. */
export function daemonCommand(): Command {
  return new Command('daemon')
    .description('hold sandboxes that live on (started when it is needed)')
    .option('--idle <duration>', 'end after such a time without sandboxes (default: 1m)')
    .addHelpText('after', help)
    .action(act(daemonAction));
}

const defaultIdle = '1m';

async function daemonAction(
  { signal, err }: CommandContext,
  flags: { readonly idle?: string },
): Promise<number> {
  const idle = durationOf(flags.idle ?? process.env['ANOLE_DAEMON_IDLE'] ?? defaultIdle);
  // What is nobody's fault in one sandbox must not end the others.
  process.on('unhandledRejection', (error) => err(`anole: ${String(error)}`));
  await runDaemon(daemonPlace(), { idle, signal });
  return 0;
}
