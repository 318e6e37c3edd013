import { randomBytes } from 'node:crypto';
import { AnoleError } from '@anole/bytes';
import type { Sandbox, SandboxCommand } from '@anole/sandbox';
import { Queue } from '../queue.ts';
import { Log } from './log.ts';
import type { ListedSandbox } from './messages.ts';

/** Ended sandboxes that are still listed, with what they printed. */
const maxEnded = 20;
const nameShape = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

export interface Entry {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly argv: readonly string[];
  readonly created: number;
  readonly sandbox: Sandbox;
  readonly log: Log;
  /** The command whose end is the sandbox's. */
  command?: SandboxCommand;
  /** What it is given to read, where it reads. */
  input?: Queue<Uint8Array>;
  tty?: boolean;
  exitCode?: number;
  reason?: string;
}

/** The sandboxes of a daemon, by name. */
export class Registry {
  readonly #entries = new Map<string, Entry>();
  /** Names that are taken while their sandboxes are made. */
  readonly #coming = new Set<string>();

  get live(): number {
    return (
      this.#all().filter(({ sandbox }) => sandbox.state !== 'ended').length + this.#coming.size
    );
  }

  /** Reserves a name while `make` is under way. @throws AnoleError `CLI_USAGE` */
  async add(
    wanted: string | undefined,
    about: Pick<Entry, 'image' | 'argv'>,
    make: (name: string) => Promise<Sandbox>,
  ): Promise<Entry> {
    const id = randomBytes(6).toString('hex');
    const name = wanted ?? `box-${id.slice(0, 6)}`;
    if (!nameShape.test(name)) {
      throw new AnoleError('CLI_USAGE', `Cannot name a sandbox ${JSON.stringify(name)}`, {
        hint: 'Use letters, digits, - _ and .',
      });
    }
    const there = this.#byName(name);
    if (this.#coming.has(name) || (there !== undefined && there.sandbox.state !== 'ended')) {
      throw new AnoleError('CLI_USAGE', `Cannot name the sandbox ${name}: there is one`, {
        hint: `anole kill ${name} ends that one`,
      });
    }
    this.#coming.add(name);
    try {
      const sandbox = await make(name);
      if (there !== undefined) this.#entries.delete(there.id);
      const entry: Entry = { id, name, ...about, created: Date.now(), sandbox, log: new Log() };
      this.#entries.set(id, entry);
      sandbox.once('ended', ({ reason }) => {
        entry.reason ??= reason;
        entry.log.end();
        this.#forgetOldest();
      });
      return entry;
    } finally {
      this.#coming.delete(name);
    }
  }

  /** By name, id, or the beginning of an id. @throws AnoleError `CLI_NO_SANDBOX` */
  get(name: string): Entry {
    const byId = this.#all().filter(({ id }) => name.length >= 4 && id.startsWith(name));
    const found = this.#byName(name) ?? (byId.length === 1 ? byId[0] : undefined);
    if (found !== undefined) return found;
    throw new AnoleError('CLI_NO_SANDBOX', `Cannot find a sandbox ${name}`, {
      hint: 'anole ps -a lists them',
    });
  }

  /** One that has not ended. @throws AnoleError `CLI_NO_SANDBOX` */
  running(name: string): Entry {
    const entry = this.get(name);
    if (entry.sandbox.state !== 'ended') return entry;
    throw new AnoleError('CLI_NO_SANDBOX', `Cannot use the sandbox ${name}: it has ended`);
  }

  list(): ListedSandbox[] {
    return this.#all().map(({ id, name, image, argv, created, sandbox, exitCode, reason }) => ({
      id,
      name,
      image,
      command: argv,
      state: sandbox.state,
      created,
      ...(exitCode !== undefined && { exitCode }),
      ...(reason !== undefined && { reason }),
    }));
  }

  /** Keeps what a command prints, and ends the sandbox with it. */
  follow(entry: Entry, command: SandboxCommand, input?: Queue<Uint8Array>): void {
    const { log, sandbox } = entry;
    entry.command = command;
    if (input !== undefined) entry.input = input;
    const reading = Promise.allSettled([
      log.keep('stdout', command.stdout),
      log.keep('stderr', command.stderr),
    ]);
    const ended = async () => {
      try {
        entry.exitCode = (await command.exit).code;
        entry.reason ??= 'exited';
      } catch (error) {
        entry.reason ??= error instanceof Error ? error.message : String(error);
      }
      await sandbox.close();
      await reading;
    };
    void ended();
  }

  /** {@link follow} for the copy of a command, where it still runs in there. */
  followCopy(entry: Entry, id: number): void {
    const { sandbox } = entry;
    if (!sandbox.commands.some((command) => command.id === id)) return;
    const input = new Queue<Uint8Array>();
    this.follow(entry, sandbox.attach({ id }, { stdin: input }), input);
  }

  async closeAll(): Promise<void> {
    await Promise.allSettled(this.#all().map(({ sandbox }) => sandbox.close()));
  }

  #all(): Entry[] {
    return [...this.#entries.values()];
  }

  #byName(name: string): Entry | undefined {
    return this.#all().findLast((entry) => entry.name === name);
  }

  #forgetOldest(): void {
    const ended = this.#all().filter(({ sandbox }) => sandbox.state === 'ended');
    for (const { id } of ended.slice(0, -maxEnded)) this.#entries.delete(id);
  }
}
