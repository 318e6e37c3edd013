import { browserFiles } from '@anole/sandbox';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import { DemoServer } from './server.ts';

interface DemoFlags {
  readonly port?: string;
  readonly memory: string;
}

/** Serves the page until Ctrl-C. */
export async function demoAction(
  context: CommandContext,
  image: string,
  flags: DemoFlags,
): Promise<number> {
  const port = numberOf(flags.port ?? '0', 'port', 65535);
  const memoryMiB = numberOf(flags.memory, 'memory', 3072);
  const { progress, signal } = context;
  const files = await browserFiles(image, { memoryMiB, signal, onProgress: progress });
  const offers = { '/image.erofs': files.image, '/template.snapshot': files.template };
  await using server = new DemoServer(offers, image);
  const url = await server.listen(port);
  context.endProgress();
  context.out(context.json ? JSON.stringify({ url, ...files }) : `${image} runs at ${url}`);
  if (!context.json) context.err('Open it in a browser; Ctrl-C ends it');
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  return 0;
}

function numberOf(text: string, what: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= most && text !== '') return value;
  throw usageError(`Cannot take ${text} as ${what}: give a number up to ${most}`, 'demo');
}
