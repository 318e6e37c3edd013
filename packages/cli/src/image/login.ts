import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { OciError } from '@anole/oci';
import { authFiles, forgetCredentials, keepCredentials, Registries } from '@anole/oci/node';
import type { CommandContext } from '../context.ts';
import { usageError } from '../frame.ts';
import type { RegistryFlags } from './session.ts';

interface LoginFlags extends RegistryFlags {
  readonly username?: string;
  readonly passwordStdin?: boolean;
}

export async function loginAction(
  context: CommandContext,
  host: string,
  flags: LoginFlags,
): Promise<number> {
  const login = await askLogin(host, flags, context.signal);
  using registries = await Registries.load({
    credentials: async (asked) => (asked === host ? login : undefined),
    ...(flags.insecure && { insecure: true }),
    ...(flags.certDir !== undefined && { certificates: flags.certDir }),
  });
  try {
    await registries.greet(host, { signal: context.signal });
  } catch (error) {
    if (!(error instanceof OciError) || error.code !== 'OCI_UNAUTHORIZED') throw error;
    throw new OciError('OCI_UNAUTHORIZED', `Cannot log in to ${host} as ${login.username}`, {
      cause: error,
      hint: 'Check the name and the password.',
    });
  }
  const { where, plain } = await keepCredentials(host, login, authFiles());
  if (context.json) context.out(JSON.stringify({ host, username: login.username, where, plain }));
  else {
    context.out(`logged in to ${host} as ${login.username}`);
    context.err(`kept in ${where}${plain ? ', which you alone can read' : ''}`);
  }
  return 0;
}

export async function logoutAction(context: CommandContext, host: string): Promise<number> {
  const places = await forgetCredentials(host, authFiles());
  if (context.json) context.out(JSON.stringify({ host, places }));
  else if (places.length === 0) context.err(`not logged in to ${host}`);
  else for (const place of places) context.out(`logged out of ${host}: ${place}`);
  return 0;
}

async function askLogin(host: string, flags: LoginFlags, signal: AbortSignal) {
  if (flags.passwordStdin) {
    if (flags.username === undefined) {
      throw usageError('Cannot log in without a name: give -u NAME', 'image login');
    }
    const password = (await text(process.stdin)).replace(/\r?\n$/, '');
    return checked({ username: flags.username, password });
  }
  if (!process.stdin.isTTY) {
    throw usageError(
      `Cannot ask for the password of ${host}: this is no terminal; give --password-stdin`,
      'image login',
    );
  }
  const username = flags.username ?? (await ask('name: ', true, signal));
  return checked({ username, password: await ask('password: ', false, signal) });
}

function checked<T extends { readonly username: string; readonly password: string }>(login: T): T {
  if (login.username !== '' && !login.username.includes(':') && login.password !== '') return login;
  throw usageError('Cannot log in: name and password must not be empty', 'image login');
}

async function ask(question: string, echo: boolean, signal: AbortSignal): Promise<string> {
  process.stderr.write(question);
  const output = echo
    ? process.stderr
    : new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return await lines.question('', { signal });
  } finally {
    lines.close();
    if (!echo) process.stderr.write('\n');
  }
}
