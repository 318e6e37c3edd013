/**
 * Options of Node with which a program's sockets use shared memory where they can: for the command
 * line, or for `NODE_OPTIONS`, which processes that it starts inherit.
 */
export function preloadOptions(): readonly string[] {
  const isSource = import.meta.url.endsWith('.ts');
  const register = new URL(`./register.${isSource ? 'ts' : 'js'}`, import.meta.url).href;
  return [...(isSource ? ['--conditions=anole-source'] : []), `--import=${register}`];
}
