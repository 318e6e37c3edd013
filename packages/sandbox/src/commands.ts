import type { AgentClient } from './client/agent-client.ts';
import type { GuestCommand } from './client/guest-command.ts';
import { type ExecOptions, SandboxCommand, spawnRequest } from './command.ts';
import type { Engine, TerminalSize } from './engine/engine.ts';
import { SandboxError } from './errors.ts';
import type { Limit } from './lifecycle.ts';
import type { AttachOptions } from './options.ts';
import type { Traits } from './order.ts';
import type { RunningCommand } from './saved/description.ts';

const defaultSize: TerminalSize = { columns: 80, rows: 24 };

/** The commands of one sandbox: those it started, and those it has as a copy. */
export class Commands {
  readonly #client: AgentClient;
  readonly #engine: Pick<Engine, 'openTerminal'>;
  readonly #traits: Traits;
  readonly #onLimit: (limit: Limit) => void;
  /** What runs, or may run in the sandbox that this one is a copy of. */
  readonly #known = new Map<number, readonly string[]>();

  /** @param former those that ran in the sandbox that this one is a copy of */
  constructor(
    client: AgentClient,
    engine: Pick<Engine, 'openTerminal'>,
    traits: Traits,
    former: readonly RunningCommand[],
    onLimit: (limit: Limit) => void,
  ) {
    this.#client = client;
    this.#engine = engine;
    this.#traits = traits;
    this.#onLimit = onLimit;
    for (const { id, argv } of former) this.#known.set(id, argv);
  }

  get running(): readonly RunningCommand[] {
    return [...this.#known]
      .filter(([id]) => this.#client.command(id) !== undefined)
      .map(([id, argv]) => ({ id, argv }));
  }

  /** Starts one: resolves when it runs. */
  async start(argv: readonly string[], options: ExecOptions): Promise<SandboxCommand> {
    const terminal = options.tty ? await this.#engine.openTerminal() : undefined;
    try {
      const size = typeof options.tty === 'object' ? options.tty : defaultSize;
      terminal?.resize?.(size);
      const guest = this.#client.spawn(spawnRequest(argv, options, this.#traits, terminal?.name));
      await guest.started;
      if (terminal !== undefined && terminal.resize === undefined) {
        guest.resize(size.columns, size.rows);
      }
      this.#known.set(guest.id, argv);
      return this.#watched(new SandboxCommand(guest, options, terminal));
    } catch (error) {
      terminal?.release();
      throw error;
    }
  }

  /** @throws SandboxError `SANDBOX_NOT_FOUND` */
  attach(id: number, options: AttachOptions): SandboxCommand {
    const guest: GuestCommand | undefined = this.#client.command(id);
    if (guest !== undefined) return this.#watched(new SandboxCommand(guest, options));
    throw new SandboxError('SANDBOX_NOT_FOUND', `Cannot find command ${id}: it ended`);
  }

  #watched(command: SandboxCommand): SandboxCommand {
    command.onLimit = this.#onLimit;
    const forget = () => this.#known.delete(command.id);
    command.exit.then(forget, forget);
    return command;
  }
}
