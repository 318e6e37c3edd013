import type { Completed, CompletedOption, Values } from './completed.ts';

/**
 * A completion script for bash, or, through its emulation, for zsh. It goes over the words before the
 * cursor as the parser would: verbs lead down, an option may take the next word, all else counts as a
 * positional argument.
 */
export function bashScript(all: readonly Completed[], zsh: boolean): string {
  return `${zsh ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}${body(all)}`;
}

function body(all: readonly Completed[]): string {
  return `# What may follow the command $1: sets verbs and flags.
_anole_command() {
  case "$1" in
${all.map(commandCase).join('\n')}
  esac
}

# Whether the option $2 of the command $1 takes a value: sets words to those that are known, and loose where it
# may have none.
_anole_value() {
  case "$1 $2" in
${all.flatMap(valueCases).join('\n')}
    *) return 1 ;;
  esac
}

# Sets words to what may stand at place $2 of the command $1.
_anole_positional() {
  case "$1 $2" in
${all.flatMap(positionalCases).join('\n')}
  esac
}

_anole() {
  local line="\${COMP_LINE:0:COMP_POINT}" path="" option="" loose="" glue="" place=0 word verbs flags words
  local cur="\${line##*[[:space:]]}"
  _anole_command ''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    # bash breaks words at these: what follows belongs to what was before.
    case "$word" in :|=) glue=1; continue ;; esac
    if [ -n "$glue" ]; then glue=""; continue; fi
    if [ "$word" = -- ]; then return; fi
    if [ -n "$option" ]; then
      option=""
      case "$loose,$word" in 1,-*) ;; *) continue ;; esac
    fi
    case "$word" in
      -*) loose=""; if _anole_value "$path" "$word"; then option="$word"; fi ;;
      *) case " $verbs " in
        *" $word "*) path="\${path:+$path }$word"; _anole_command "$path" ;;
        *) place=$((place + 1)) ;;
      esac ;;
    esac
  done
  words=""
  case "$loose,$cur" in 1,-*) option="" ;; esac
  if [ -n "$option" ]; then _anole_value "$path" "$option"
  else case "$cur" in
    -*) words="$flags" ;;
    *) words="$verbs"; if [ -z "$verbs" ]; then _anole_positional "$path" "$place"; fi ;;
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  # Where the shell takes a colon for the end of a word, it wants only what follows it.
  case "$COMP_WORDBREAKS,$cur" in *:*,*:*) COMPREPLY=("\${COMPREPLY[@]#"\${cur%:*}:"}") ;; esac
}
complete -o default -F _anole anole`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function wordsOf(values: Values): string {
  if (values === 'files') return "''";
  if (values === 'sandboxes') return '$(anole ps --names 2>/dev/null)';
  return quoted(values.join(' '));
}

function commandCase({ path, verbs, options }: Completed): string {
  const flags = options.flatMap((option) => option.flags.filter((flag) => flag.startsWith('--')));
  const names = verbs.map(({ name }) => name);
  return `    ${quoted(path.join(' '))}) verbs=${quoted(names.join(' '))} flags=${quoted(flags.join(' '))} ;;`;
}

function valueCases({ path, options }: Completed): string[] {
  return options.flatMap(({ flags, value, optional }: CompletedOption) => {
    if (value === undefined) return [];
    const patterns = flags.map((flag) => quoted(`${path.join(' ')} ${flag}`));
    return [`    ${patterns.join('|')}) words=${wordsOf(value)}${optional ? ' loose=1' : ''} ;;`];
  });
}

function positionalCases({ path, positionals, variadic }: Completed): string[] {
  return positionals.flatMap((values, place) => {
    if (values === 'files') return [];
    const repeats = variadic && place === positionals.length - 1;
    const pattern = repeats
      ? `${quoted(`${path.join(' ')} `)}*`
      : quoted(`${path.join(' ')} ${place}`);
    return [`    ${pattern}) words=${wordsOf(values)} ;;`];
  });
}
