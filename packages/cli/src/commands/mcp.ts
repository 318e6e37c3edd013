import { join } from 'node:path';
import { cacheDirectory } from '@anole/host';
import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { act } from '../frame.ts';
import { serveMcp } from '../mcp/server.ts';
import { Tools } from '../mcp/tools.ts';

const help = `
Speaks on standard input and output, as hosts of agents start it. The sandboxes that an agent makes end
with it.

Examples:
  anole mcp
  anole mcp --image os:python`;

/** `anole mcp`: sandboxes as tools for agents. */
export function mcpCommand(): Command {
  return new Command('mcp')
    .description('serve sandboxes to agents over the Model Context Protocol')
    .option('--image <image>', 'what sandboxes are made of', 'os:python')
    .option('--saved <directory>', 'where saved sandboxes are kept (default: in the cache)')
    .option('--max-sandboxes <count>', 'sandboxes at once', '8')
    .addHelpText('after', help)
    .action(act(mcp));
}

interface McpFlags {
  readonly image: string;
  readonly maxSandboxes: string;
  readonly saved?: string;
}

async function mcp(
  { signal }: CommandContext,
  { image, maxSandboxes, saved = join(cacheDirectory(), 'saved') }: McpFlags,
): Promise<number> {
  await using tools = new Tools({ image, maxSandboxes: Number(maxSandboxes) || 8, saved });
  signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
  await serveMcp(tools.all, process.stdin, process.stdout);
  return 0;
}
