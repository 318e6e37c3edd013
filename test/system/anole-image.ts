import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { anoleProgram } from './anole-program.ts';

/** anole image, with a cache, logins and registries of its own. */
export function anoleIn(directory: string) {
  const environment = {
    ...process.env,
    ANOLE_CACHE: join(directory, 'cache'),
    DOCKER_CONFIG: join(directory, 'docker'),
    CONTAINERS_REGISTRIES_CONF: join(directory, 'registries.conf'),
    HOME: directory,
  };
  return (args: readonly string[], input = '') => {
    const argv = [anoleProgram, 'image', ...args];
    const options = { env: environment, input, cwd: directory, maxBuffer: 1 << 26 };
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, options);
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  };
}

export function succeed(result: ReturnType<ReturnType<typeof anoleIn>>): string {
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}
