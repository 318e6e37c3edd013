/**
 * Makes a test of paths (without leading slash) from patterns: `*` and `?` stay within a name, `**`
 * crosses slashes, `!` in front takes paths back. The last pattern that matches decides.
 */
export function compileExclude(patterns: readonly string[]): (path: string) => boolean {
  const groups: { readonly isKept: boolean; readonly sources: string[] }[] = [];
  for (const pattern of patterns) {
    const isKept = pattern.startsWith('!');
    const source = toRegex(pattern.replace(/^!?\/?/, ''));
    // Runs of patterns of one kind become one expression: thousands of paths are tested.
    if (groups.at(-1)?.isKept === isKept) groups.at(-1)!.sources.push(source);
    else groups.push({ isKept, sources: [source] });
  }
  const tests = groups.reverse().map(({ isKept, sources }) => {
    return { isKept, regex: new RegExp(`^(?:${sources.join('|')})$`, 's') };
  });
  return (path) => tests.find(({ regex }) => regex.test(path))?.isKept === false;
}

function toRegex(pattern: string): string {
  return pattern.replace(/\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g, (token) => {
    switch (token) {
      case '**/':
        return '(?:.*/)?';
      case '**':
        return '.*';
      case '*':
        return '[^/]*';
      case '?':
        return '[^/]';
      default:
        return `\\${token}`;
    }
  });
}
