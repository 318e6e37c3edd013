import type { Completed, CompletedOption, Values } from './completed.ts';

/** A completion script for fish. */
export function fishScript(all: readonly Completed[]): string {
  return all.flatMap(linesOf).join('\n');
}

function linesOf({ path, verbs, options, positionals }: Completed): string[] {
  const at = conditionOf(path, verbs);
  const under = conditionOf(path, []);
  const lines = verbs.map(
    ({ name, description }) => `complete -c anole -f -n ${at} -a ${name} -d ${quoted(description)}`,
  );
  for (const option of options) {
    const { flags, description } = option;
    const names = flags.map((flag) =>
      flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
    );
    const about = quoted(description);
    lines.push(
      `complete -c anole -n ${under} ${names.join(' ')}${parameterOf(option)} -d ${about}`,
    );
  }
  for (const values of new Set(positionals)) {
    if (values !== 'files') lines.push(`complete -c anole -n ${under} -a ${wordsOf(values)}`);
  }
  return lines;
}

/** What follows an option. Only what must follow has one of -r and -x: else fish takes it behind `=`. */
function parameterOf({ value, optional }: CompletedOption): string {
  if (value === undefined) return '';
  if (value === 'files') return optional ? '' : ' -r';
  return `${optional ? '' : ' -x'} -a ${wordsOf(value)}`;
}

/** That this command was given, and none of its verbs. */
function conditionOf(path: readonly string[], verbs: Completed['verbs']): string {
  if (path.length === 0) return quoted(verbs.length === 0 ? 'true' : '__fish_use_subcommand');
  const seen = path.map((verb) => `__fish_seen_subcommand_from ${verb}`);
  const names = verbs.map(({ name }) => name).join(' ');
  const none = names === '' ? [] : [`not __fish_seen_subcommand_from ${names}`];
  return quoted([...seen, ...none].join('; and '));
}

function wordsOf(values: Values): string {
  if (values === 'sandboxes') return "'(anole ps --names 2>/dev/null)'";
  return quoted(values === 'files' ? '' : values.join(' '));
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
