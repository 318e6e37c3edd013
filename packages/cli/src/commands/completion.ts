import { Argument, Command } from 'commander';
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
        const words = wordsOf(await load());
        context.out(shell === 'fish' ? fishScript(words) : bashScript(words, shell === 'zsh'));
        return 0;
      }),
    );
}

/** What may follow each command path: `''` is anole itself, `os build` a nested one. */
type Words = ReadonlyMap<string, readonly string[]>;

function wordsOf(program: Command): Words {
  const words = new Map<string, readonly string[]>();
  const visit = (command: Command, path: readonly string[]) => {
    const flags = command.options.flatMap((option) =>
      option.long === undefined ? [] : [option.long],
    );
    const verbs = command.commands.map((child) => child.name());
    words.set(path.join(' '), [...verbs, ...flags, '--help']);
    for (const child of command.commands) visit(child, [...path, child.name()]);
  };
  visit(program, []);
  return words;
}

function bashScript(words: Words, zsh: boolean): string {
  const cases = [...words].map(([path, next]) => `    '${path}') words='${next.join(' ')}' ;;`);
  return [
    ...(zsh ? ['autoload -U +X bashcompinit && bashcompinit'] : []),
    '_anole() {',
    '  local path="" words="" word',
    `  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`,
    `    case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac`,
    '  done',
    '  case "$path" in',
    ...cases,
    '  esac',
    `  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))`,
    '}',
    'complete -o default -F _anole anole',
  ].join('\n');
}

function fishScript(words: Words): string {
  const lines: string[] = [];
  for (const [path, next] of words) {
    const depth = path === '' ? 0 : path.split(' ').length;
    const condition =
      depth === 0
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map((verb) => `__fish_seen_subcommand_from ${verb}`)
            .join('; and ');
    for (const word of next) {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`;
      lines.push(`complete -c anole -n '${condition}' ${what}`);
    }
  }
  return lines.join('\n');
}
