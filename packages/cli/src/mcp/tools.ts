import { join } from 'node:path';
import { AnoleError } from '@anole/bytes';
import { Sandbox } from '@anole/sandbox';

/** A tool as the protocol lists it, and what it does. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: object;
  readonly call: (input: Record<string, unknown>) => Promise<string>;
}

export interface ToolsOptions {
  readonly image: string;
  readonly maxSandboxes: number;
  /** Directory for sandboxes that are saved. */
  readonly saved: string;
}

/** Characters of an output that one answer gives; the rest is cut. */
const maxShown = 50_000;
const defaultTimeout = 60; // s
const maxTimeout = 3600; // s

const text = (description: string) => ({ type: 'string', description });
const sandboxId = text('Id that create_sandbox gave');
const schema = (properties: object, required: readonly string[]) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

/** What agents may do with sandboxes, and the sandboxes that they made. */
export class Tools implements AsyncDisposable {
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #options: ToolsOptions;
  #made = 0;

  readonly all: readonly Tool[] = [
    {
      name: 'create_sandbox',
      description:
        'Make a Linux sandbox, in which commands run and files are kept until it is ended.',
      inputSchema: schema(
        {
          memory_mib: { type: 'integer', minimum: 96, maximum: 3072 },
          network: { type: 'boolean' },
        },
        [],
      ),
      call: (input) => this.#create(input),
    },
    {
      name: 'run_command',
      description: 'Run a shell command in a sandbox, and give its output and exit code.',
      inputSchema: schema(
        {
          sandbox_id: sandboxId,
          command: text('For sh -c'),
          cwd: text('Working directory'),
          timeout_seconds: { type: 'number', minimum: 1, maximum: maxTimeout },
        },
        ['sandbox_id', 'command'],
      ),
      call: (input) => this.#run(input),
    },
    {
      name: 'write_file',
      description: 'Write a text file in a sandbox; directories are made.',
      inputSchema: schema(
        { sandbox_id: sandboxId, path: text('Absolute'), content: text('The whole file') },
        ['sandbox_id', 'path', 'content'],
      ),
      call: async (input) => {
        const { files } = this.#find(input);
        const { path, size } = await files.write(string(input, 'path'), string(input, 'content'));
        return `wrote ${size} bytes to ${path}`;
      },
    },
    {
      name: 'read_file',
      description: 'Read a text file of a sandbox.',
      inputSchema: schema({ sandbox_id: sandboxId, path: text('Absolute') }, [
        'sandbox_id',
        'path',
      ]),
      call: async (input) => cut(decode(await readSome(this.#find(input), string(input, 'path')))),
    },
    {
      name: 'list_files',
      description: 'List a directory of a sandbox.',
      inputSchema: schema({ sandbox_id: sandboxId, path: text('Absolute') }, [
        'sandbox_id',
        'path',
      ]),
      call: async (input) => {
        const found = await this.#find(input).files.list(string(input, 'path'));
        return cut(found.map(({ type, size, name }) => `${type}\t${size}\t${name}`).join('\n'));
      },
    },
    {
      name: 'fork_sandbox',
      description: 'Copy a sandbox as it is: files, memory and running processes.',
      inputSchema: schema({ sandbox_id: sandboxId }, ['sandbox_id']),
      call: async (input) => await this.#keep(() => this.#find(input).fork()),
    },
    {
      name: 'save_sandbox',
      description:
        'Save a sandbox as it is under a name: files, memory and running processes. It goes on.',
      inputSchema: schema({ sandbox_id: sandboxId, name: text('Letters, digits, . _ -') }, [
        'sandbox_id',
        'name',
      ]),
      call: async (input) => {
        await this.#find(input).snapshot(this.#fileOf(input));
        return `saved as ${string(input, 'name')}`;
      },
    },
    {
      name: 'restore_sandbox',
      description: 'Make a sandbox that goes on where one was saved, also in an earlier session.',
      inputSchema: schema(
        { name: text('That save_sandbox was given'), network: { type: 'boolean' } },
        ['name'],
      ),
      call: async (input) => {
        const network = input['network'] === true ? { network: true } : {};
        return await this.#keep(() => Sandbox.restore(this.#fileOf(input), network));
      },
    },
    {
      name: 'pause_sandbox',
      description: 'Have a sandbox stand still.',
      inputSchema: schema({ sandbox_id: sandboxId }, ['sandbox_id']),
      call: async (input) => {
        this.#find(input).pause();
        return 'paused';
      },
    },
    {
      name: 'resume_sandbox',
      description: 'Let a paused sandbox go on.',
      inputSchema: schema({ sandbox_id: sandboxId }, ['sandbox_id']),
      call: async (input) => {
        this.#find(input).resume();
        return 'running';
      },
    },
    {
      name: 'end_sandbox',
      description: 'End a sandbox; what is in it is gone.',
      inputSchema: schema({ sandbox_id: sandboxId }, ['sandbox_id']),
      call: async (input) => {
        await this.#find(input).kill();
        return 'ended';
      },
    },
  ];

  constructor(options: ToolsOptions) {
    this.#options = options;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#sandboxes.values()].map((sandbox) => sandbox.kill()));
  }

  async #create({ memory_mib: memory, network }: Record<string, unknown>): Promise<string> {
    return await this.#keep(() =>
      Sandbox.create(this.#options.image, {
        ...(typeof memory === 'number' && { memoryMiB: memory }),
        ...(network === true && { network }),
      }),
    );
  }

  async #keep(make: () => Promise<Sandbox>): Promise<string> {
    if (this.#sandboxes.size >= this.#options.maxSandboxes) {
      throw new AnoleError(
        'CLI_USAGE',
        `Cannot have more than ${this.#options.maxSandboxes} sandboxes`,
        {
          hint: 'End one first',
        },
      );
    }
    const sandbox = await make();
    const id = `sandbox-${++this.#made}`;
    this.#sandboxes.set(id, sandbox);
    sandbox.once('ended', () => this.#sandboxes.delete(id));
    return id;
  }

  async #run(input: Record<string, unknown>): Promise<string> {
    const seconds = Math.min(Number(input['timeout_seconds'] ?? defaultTimeout), maxTimeout);
    const command = await this.#find(input).exec(['sh', '-c', string(input, 'command')], {
      timeout: seconds * 1000,
      ...(typeof input['cwd'] === 'string' && { cwd: input['cwd'] }),
    });
    const { exit, stdout, stderr } = await command.output({ maxOutput: 16 << 20 });
    const parts = [`exit code: ${exit.code}${exit.outOfMemory ? ' (out of memory)' : ''}`];
    if (stdout.length > 0) parts.push(`stdout:\n${cut(decode(stdout))}`);
    if (stderr.length > 0) parts.push(`stderr:\n${cut(decode(stderr))}`);
    return parts.join('\n');
  }

  #fileOf(input: Record<string, unknown>): string {
    const name = string(input, 'name');
    if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) {
      return join(this.#options.saved, `${name}.anole`);
    }
    throw new AnoleError('CLI_USAGE', `Cannot save a sandbox as ${JSON.stringify(name)}`);
  }

  #find(input: Record<string, unknown>): Sandbox {
    const id = string(input, 'sandbox_id');
    const sandbox = this.#sandboxes.get(id);
    if (sandbox !== undefined) return sandbox;
    throw new AnoleError('CLI_NO_SANDBOX', `Cannot find the sandbox ${id}`, {
      hint: 'create_sandbox makes one',
    });
  }
}

function string(input: Record<string, unknown>, name: string): string {
  const value = input[name];
  if (typeof value === 'string') return value;
  throw new AnoleError('CLI_USAGE', `Cannot call the tool: ${name} must be a string`);
}

async function readSome(sandbox: Sandbox, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of sandbox.files.stream(path)) {
    parts.push(part);
    size += part.length;
    if (size > 4 * maxShown) break;
  }
  return Buffer.concat(parts);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function cut(shown: string): string {
  if (shown.length <= maxShown) return shown;
  return `${shown.slice(0, maxShown)}\n[${shown.length - maxShown} more characters]`;
}
