import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { cacheDirectory } from '@anole/host';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { serveE2b } from '../e2b/server.ts';
import { act, usageError } from '../frame.ts';

interface ServeFlags {
  readonly host: string;
  readonly port: string;
  readonly apiKey?: readonly string[];
  readonly template?: readonly string[];
  readonly snapshots?: string;
  readonly maxSnapshots: string;
  readonly maxSandboxes: string;
}

const help = `
Clients are those of E2B, unchanged: set E2B_API_URL and E2B_SANDBOX_URL to this server's URL and
E2B_API_KEY to a key. Each key sees its own sandboxes only. Without --api-key, and without
ANOLE_API_KEYS (separated by commas), a key is made and printed. A template is an image by a name: base
and python are there, --template adds others.

A server in a sandbox is reached at the host PORT-SANDBOXID.anything of this one.

Examples:
  anole serve
  anole serve --port 3000 --api-key "$KEY" --template data=os:python`;

/** `anole serve`: sandboxes for clients of E2B's protocol. */
export function serveCommand(): Command {
  return new Command('serve')
    .description("serve sandboxes over E2B's protocol")
    .option('--host <address>', 'address to listen at', '127.0.0.1')
    .option('--port <number>', 'port to listen at, 0 for any', '3000')
    .option('--api-key <key>', 'a key that clients may use', append)
    .option('--template <name=image>', 'an image that clients may ask for', append)
    .option('--snapshots <directory>', "where clients' snapshots are kept (default: in the cache)")
    .option('--max-snapshots <count>', 'snapshots that a client may have', '32')
    .option('--max-sandboxes <count>', 'sandboxes at once', '32')
    .addHelpText('after', help)
    .action(act(serve));
}

function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function serve(context: CommandContext, flags: ServeFlags): Promise<number> {
  const given = flags.apiKey ?? process.env['ANOLE_API_KEYS']?.split(',').filter(Boolean);
  const keys = given ?? [`e2b_${randomBytes(20).toString('hex')}`];
  await using server = await serveE2b({
    host: flags.host,
    port: numberOf(flags.port, 0, 65535),
    keys,
    templates: templatesOf(flags.template ?? []),
    snapshots: flags.snapshots ?? join(cacheDirectory(), 'served'),
    maxSnapshots: numberOf(flags.maxSnapshots, 0, 10_000),
    maxSandboxes: numberOf(flags.maxSandboxes, 1, 10_000),
  });
  const url = `http://${flags.host}:${server.port}`;
  if (context.json) context.out(JSON.stringify({ url, ...(!given && { apiKey: keys[0] }) }));
  else {
    context.out(`E2B_API_URL=${url}\nE2B_SANDBOX_URL=${url}`);
    if (!given) context.out(`E2B_API_KEY=${keys[0]}`);
  }
  process.on('unhandledRejection', (error) => context.err(`anole: ${String(error)}`));
  await new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve();
    context.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  return 0;
}

function templatesOf(texts: readonly string[]): Record<string, string> {
  const templates: Record<string, string> = { base: 'os:base', python: 'os:python' };
  for (const text of texts) {
    const match = /^([A-Za-z0-9._-]+)=(.+)$/.exec(text);
    if (match === null)
      throw usageError(`Cannot read the template ${text}: it is NAME=IMAGE`, 'serve');
    templates[match[1]!] = match[2]!;
  }
  return templates;
}

function numberOf(text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw usageError(`Cannot use ${text}: give a number from ${least} to ${most}`, 'serve');
}
