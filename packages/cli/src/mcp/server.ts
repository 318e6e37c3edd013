import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import packageJson from '../../package.json' with { type: 'json' };
import type { Tool } from './tools.ts';

/** Versions of the Model Context Protocol that are spoken; the newest is offered. */
const versions = ['2025-06-18', '2025-03-26', '2024-11-05'];

interface Message {
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
}

/** JSON-RPC 2.0 */
const code = { parse: -32700, invalid: -32600, method: -32601, params: -32602 } as const;

class RpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Serves tools over the stdio transport: a message of JSON-RPC a line, until input ends. */
export async function serveMcp(
  tools: readonly Tool[],
  input: Readable,
  output: Writable,
): Promise<void> {
  const send = (message: object) =>
    output.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const under = new Set<Promise<void>>();
  for await (const line of createInterface({ input })) {
    if (line.trim() === '') continue;
    const answered = answer(tools, line, send);
    under.add(answered);
    void answered.finally(() => under.delete(answered));
  }
  await Promise.all(under);
}

async function answer(
  tools: readonly Tool[],
  line: string,
  send: (message: object) => void,
): Promise<void> {
  let id: Message['id'] = null;
  try {
    const message = parse(line);
    id = message.id;
    // Without an id it is a notification, which has no answer.
    if (id === undefined) return;
    send({ id, result: await resultOf(tools, message) });
  } catch (error) {
    const known = error instanceof RpcError ? error.code : code.invalid;
    send({ id: id ?? null, error: { code: known, message: messageOf(error) } });
  }
}

function parse(line: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new RpcError(code.parse, 'the message is no JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new RpcError(code.invalid, 'the message is no object');
}

async function resultOf(tools: readonly Tool[], { method, params = {} }: Message): Promise<object> {
  if (method === 'initialize') {
    const asked = String(params['protocolVersion']);
    return {
      protocolVersion: versions.includes(asked) ? asked : versions[0],
      capabilities: { tools: {} },
      serverInfo: { name: 'anole', version: packageJson.version },
    };
  }
  if (method === 'ping') return {};
  if (method === 'tools/list') {
    return {
      tools: tools.map(({ name, description, inputSchema }) => ({
        name,
        description,
        inputSchema,
      })),
    };
  }
  if (method === 'tools/call') return await call(tools, params);
  throw new RpcError(code.method, `there is no method ${method}`);
}

/** What a tool meets is its answer: the agent may do something about it. */
async function call(tools: readonly Tool[], params: Record<string, unknown>): Promise<object> {
  const tool = tools.find(({ name }) => name === params['name']);
  if (tool === undefined) throw new RpcError(code.params, `there is no tool ${params['name']}`);
  const given = params['arguments'];
  const input = typeof given === 'object' && given !== null ? given : {};
  try {
    return { content: [{ type: 'text', text: await tool.call(input as Record<string, unknown>) }] };
  } catch (error) {
    return { content: [{ type: 'text', text: messageOf(error) }], isError: true };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
