import type { SandboxFiles } from '@anole/sandbox';

/** Who a request is for: the name of HTTP's basic authentication, without a password. */
export function userOf(authorization: string | undefined): string | undefined {
  const match = /^Basic ([A-Za-z0-9+/=]+)$/.exec(authorization ?? '');
  const name = Buffer.from(match?.[1] ?? '', 'base64')
    .toString()
    .split(':')[0];
  return name === '' ? undefined : name;
}

/** A path as it is meant: what is not absolute, or begins with `~`, is in the user's home. */
export async function pathOf(
  files: SandboxFiles,
  path: string,
  user: string | undefined,
): Promise<string> {
  if (path.startsWith('/')) return path;
  const home = await homeOf(files, user ?? 'root');
  return `${home}/${path.replace(/^~\/?/, '')}`;
}

async function homeOf(files: SandboxFiles, user: string): Promise<string> {
  const table = await files.readText('/etc/passwd').catch(() => '');
  const entry = table.split('\n').find((line) => line.startsWith(`${user}:`));
  return entry?.split(':')[5] || (user === 'root' ? '/root' : `/home/${user}`);
}
