import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, type Test, temporary, until } from './tools.ts';

export interface RegistryOptions {
  /** Whether it wants the login `somebody` with the password `secret`. */
  readonly login?: boolean;
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clients?: string };
}

/** Debian's docker-registry on loopback, for as long as the test runs. */
export async function startRegistry(
  test: Test,
  { login, tls }: RegistryOptions = {},
): Promise<string> {
  let end = async (): Promise<void> => {};
  // Before the directory goes.
  test.after(() => end());
  const directory = temporary(test);
  const config = {
    version: '0.1',
    // It says where it listens.
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
    http: {
      addr: '127.0.0.1:0',
      ...(tls && {
        tls: {
          certificate: tls.certificate,
          key: tls.key,
          ...(tls.clients && { clientcas: [tls.clients] }),
        },
      }),
    },
    ...(login && { auth: { htpasswd: { realm: 'tests', path: htpasswd(directory) } } }),
  };
  const file = join(directory, 'config.yml');
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config));
  // Not a pipe: who runs tools synchronously does not empty one meanwhile.
  const log = join(directory, 'log');
  const output = openSync(log, 'w');
  const child = spawn('docker-registry', ['serve', file], { stdio: ['ignore', 'ignore', output] });
  closeSync(output);
  const ended = once(child, 'close');
  end = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  // The port is its choice. One that was found free before could be anybody's by then, and who asks in vain
  // whether somebody listens may meet itself.
  const port = () => /listening on 127\.0\.0\.1:(\d+)/.exec(readFileSync(log, 'utf8'))?.[1];
  await until('the registry listens', () => {
    if (child.exitCode !== null) throw new Error(`It ended: ${readFileSync(log, 'utf8')}`);
    return port() !== undefined;
  });
  return `localhost:${port()}`;
}

/** `secret`, by bcrypt: the only hash that the registry takes. */
const hash = '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a';

function htpasswd(directory: string): string {
  const path = join(directory, 'htpasswd');
  writeFileSync(path, `somebody:${hash}\n`);
  return path;
}

export interface TestAuthority {
  readonly ca: string;
  readonly server: { readonly certificate: string; readonly key: string };
  /** As containers-certs.d has it: ca.crt, client.cert, client.key. */
  readonly clientDirectory: string;
  /** Only ca.crt. */
  readonly trustDirectory: string;
}

/** A certificate authority of the test, with a certificate for localhost and one for a client. */
export function makeAuthority(directory: string): TestAuthority {
  const at = (name: string) => join(directory, name);
  const clientDirectory = at('client');
  const trustDirectory = at('trust');
  mkdirSync(clientDirectory, { recursive: true });
  mkdirSync(trustDirectory, { recursive: true });
  const new_ = ['openssl', 'req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run(
    ...new_,
    '-x509',
    '-days',
    '30',
    '-subj',
    '/CN=test',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
  );
  const issue = (name: string, subject: string, extension: string) => {
    writeFileSync(at(`${name}.ext`), extension);
    run(...new_, '-subj', subject, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`));
    const signing = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '30'];
    const files = [
      '-in',
      at(`${name}.csr`),
      '-out',
      at(`${name}.crt`),
      '-extfile',
      at(`${name}.ext`),
    ];
    run('openssl', 'x509', '-req', ...signing, ...files);
  };
  issue('server', '/CN=localhost', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  issue('client', '/CN=somebody', 'extendedKeyUsage=clientAuth');
  run('cp', at('ca.crt'), join(trustDirectory, 'ca.crt'));
  run('cp', at('ca.crt'), join(clientDirectory, 'ca.crt'));
  run('cp', at('client.crt'), join(clientDirectory, 'client.cert'));
  run('cp', at('client.key'), join(clientDirectory, 'client.key'));
  return {
    ca: at('ca.crt'),
    server: { certificate: at('server.crt'), key: at('server.key') },
    clientDirectory,
    trustDirectory,
  };
}
