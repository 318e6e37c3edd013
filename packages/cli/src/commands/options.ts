import { Command } from 'commander';

/** Gathers an option that may be given again. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** Takes the options of the whole command after the verb too, where people write them. */
export function subcommand(name: string): Command {
  return new Command(name)
    .option('--json', 'print results as JSON')
    .option('-q, --quiet', 'no progress')
    .option('--verbose', 'print stacks of errors');
}
