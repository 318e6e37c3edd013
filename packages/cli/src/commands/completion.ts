import { Argument, Command } from 'commander';
import { bashScript } from '../completion/bash.ts';
import { completedOf } from '../completion/completed.ts';
import { fishScript } from '../completion/fish.ts';
import { act } from '../frame.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

/** @param load gives the whole command, every verb included */
export function completionCommand(load: () => Promise<Command>): Command {
  return new Command('completion')
    .description('print a completion script for your shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText(
      'after',
      '\nExamples:\n  source <(anole completion bash)\n  anole completion fish > ~/.config/fish/completions/anole.fish',
    )
    .action(
      act(async (context, shell: (typeof shells)[number]) => {
        const { listRecipes } = await import('@anole/compose');
        const all = completedOf(await load(), await listRecipes());
        context.out(shell === 'fish' ? fishScript(all) : bashScript(all, shell === 'zsh'));
        return 0;
      }),
    );
}
