import type { Command, Option } from 'commander';

/** What may stand for a value: words known now, a command that prints them, or any file. */
export type Values = readonly string[] | 'sandboxes' | 'files';

export interface CompletedOption {
  /** `-o`, `--output`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Of what follows it; undefined where nothing does. */
  readonly value: Values | undefined;
  /** Whether it may stand alone, too: then what begins with a hyphen is no value. */
  readonly optional: boolean;
}

/** What a shell may offer behind one command. */
export interface Completed {
  /** `os build`; empty for `anole` itself. */
  readonly path: readonly string[];
  readonly verbs: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly CompletedOption[];
  /** In order; the last one repeats where it is variadic. */
  readonly positionals: readonly Values[];
  readonly variadic: boolean;
}

/** Each command of a program, those above first. */
export function completedOf(program: Command, recipes: readonly string[]): readonly Completed[] {
  const all: Completed[] = [];
  const visit = (command: Command, path: readonly string[]) => {
    const positionals = command.registeredArguments;
    all.push({
      path,
      verbs: command.commands.flatMap((child) =>
        namesOf(child).map((name) => ({ name, description: child.description() })),
      ),
      options: [
        ...command.options.filter(({ hidden }) => !hidden).map(completedOption),
        helpOption,
      ],
      positionals: positionals.map((argument) => {
        if (argument.argChoices !== undefined) return argument.argChoices;
        return valuesByName[argument.name()]?.(recipes) ?? 'files';
      }),
      variadic: positionals.at(-1)?.variadic ?? false,
    });
    for (const child of command.commands) {
      for (const name of namesOf(child)) visit(child, [...path, name]);
    }
  };
  visit(program, []);
  return all;
}

function namesOf(command: Command): readonly string[] {
  return [command.name(), ...command.aliases()];
}

/** What the names of arguments say of them: they are the same everywhere. */
const valuesByName: Readonly<Record<string, (recipes: readonly string[]) => Values>> = {
  recipe: (recipes) => recipes,
  sandbox: () => 'sandboxes',
  sandboxes: () => 'sandboxes',
  // Of `anole run`: an image, or the command.
  words: (recipes) => recipes.map((name) => `os:${name}`),
};

const helpOption: CompletedOption = {
  flags: ['-h', '--help'],
  description: 'display help for command',
  value: undefined,
  optional: false,
};

function completedOption(option: Option): CompletedOption {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined);
  const takesOne = option.required || option.optional;
  const known = option.argChoices ?? (option.flags.endsWith(' [switch]') ? ['1', '0'] : 'files');
  const value = takesOne ? known : undefined;
  return { flags, description: option.description, value, optional: option.optional };
}
