import { spawn } from 'node:child_process';
import { OciError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { Credentials } from '../registry/credentials.ts';

const PATIENCE = 30_000; // ms
const MAX_OUTPUT = 1024 * 1024;

/** What helpers answer where they know nothing (docker-credential-helpers). */
const unknown = /credentials not found/i;

/** Asks `docker-credential-NAME get`; undefined where it knows nothing. */
export async function askHelper(name: string, server: string): Promise<Credentials | undefined> {
  const { status, output } = await runHelper(name, 'get', server);
  if (status !== 0) {
    if (unknown.test(output)) return undefined;
    throw failed(name, output);
  }
  const json = parseJson(Buffer.from(output), {
    what: `the answer of docker-credential-${name}`,
    code: 'OCI_CREDENTIALS',
  });
  const username = json.optionalString('Username') ?? '';
  const password = json.optionalString('Secret');
  if (password === undefined) return undefined;
  // The name that stands for "the secret is a token".
  return username === '<token>' ? { identityToken: password } : { username, password };
}

export async function storeInHelper(
  name: string,
  server: string,
  { username, password }: { readonly username: string; readonly password: string },
): Promise<void> {
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: password });
  const { status, output } = await runHelper(name, 'store', input);
  if (status !== 0) throw failed(name, output);
}

/** False where it knew nothing. */
export async function eraseFromHelper(name: string, server: string): Promise<boolean> {
  const { status, output } = await runHelper(name, 'erase', server);
  if (status !== 0 && !unknown.test(output)) throw failed(name, output);
  return status === 0;
}

function runHelper(
  name: string,
  action: string,
  input: string,
): Promise<{ readonly status: number | null; readonly output: string }> {
  // The name comes from a file: it must not become a path.
  if (!/^[\w.-]{1,100}$/.test(name)) throw failed(name, 'that is no name of a helper');
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number | null;
    output: string;
  }>();
  const child = spawn(`docker-credential-${name}`, [action], {
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: PATIENCE,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.length > MAX_OUTPUT) child.kill('SIGKILL');
  });
  child.on('error', (error) => reject(failed(name, error.message)));
  child.on('close', (status) => resolve({ status, output }));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return promise;
}

function failed(name: string, why: string): OciError {
  const said = why.trim().slice(0, 200) || 'it says nothing';
  return new OciError('OCI_CREDENTIALS', `Cannot ask docker-credential-${name}: ${said}`, {
    hint: 'Install the helper, or remove it from the configuration of docker or podman.',
  });
}
