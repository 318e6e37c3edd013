import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const directory = mkdtempSync(join(tmpdir(), 'anole-completion-'));
const script = join(directory, 'anole.bash');
after(() => rmSync(directory, { recursive: true, force: true }));

function scriptFor(shell: string): string {
  const argv = ['-C', 'anole-source', main, 'completion', shell];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

before(() => writeFileSync(script, scriptFor('bash')));

/**
 * What bash itself offers at the end of a line: it divides the line as it does at a prompt, at colons
 * and equals signs too. `anole ps --names` is answered with two names.
 */
function offered(line: string): string[] {
  const words = line.split(/\s+|(?<=[:=])|(?=[:=])/).filter((word) => word !== ' ');
  const program = `
    anole() { printf '%s\\n' web web-2; }
    source "$1"
    COMP_LINE="$2" COMP_POINT=\${#2}
    shift 2
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _anole
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const argv = ['--norc', '-c', program, 'bash', script, line, ...words];
  const { status, stdout, stderr } = spawnSync('bash', argv, { encoding: 'utf8' });
  assert.equal(status === 0 ? stderr : `${status}: ${stderr}`, '');
  return stdout.split('\n').filter((word) => word !== '');
}

test('bash is offered verbs, and those below them', () => {
  assert.ok(offered('anole ').includes('doctor'));
  assert.deepEqual(offered('anole os b'), ['build']);
});

test('bash is offered options behind arguments too, and values that are known', () => {
  assert.deepEqual(offered('anole fs ls image.erofs --rec'), ['--recursive']);
  assert.deepEqual(offered('anole os build base --format '), ['erofs', 'tar', 'dir', 'oci']);
  assert.deepEqual(offered('anole run -e A=b --na'), ['--name']);
  assert.deepEqual(offered('anole ps --js'), ['--json']);
});

test('bash is not offered options that help does not tell of', () => {
  assert.deepEqual(offered('anole image opt'), ['optimize']);
  assert.deepEqual(offered('anole image serve --pass'), ['--passthrough']);
  assert.deepEqual(offered('anole image serve --no-'), []);
  assert.deepEqual(offered('anole image serve --ke'), []);
});

test('bash is offered options behind one whose value was left out', () => {
  assert.deepEqual(offered('anole fs mk rootfs --zD '), ['1', '0']);
  assert.deepEqual(offered('anole fs mk rootfs --zD --na'), ['--name']);
  assert.deepEqual(offered('anole fs mk rootfs --MZ --zD -o image --ovlfs-s'), ['--ovlfs-strip']);
  // A value that must be there is one whatever it begins with.
  assert.deepEqual(offered('anole fs mk rootfs -L --na'), []);
});

test('bash is offered recipes, and the rest of one behind its colon', () => {
  assert.ok(offered('anole os build ').includes('python'));
  assert.deepEqual(offered('anole run os:pyt'), ['python']);
});

test('bash is offered the sandboxes that live, but no word of a command in one', () => {
  assert.deepEqual(offered('anole exec '), ['web', 'web-2']);
  assert.deepEqual(offered('anole exec web '), []);
  assert.deepEqual(offered('anole kill web web-'), ['web-2']);
  assert.deepEqual(offered('anole run -- d'), []);
});

test('the scripts for zsh and fish name the same verbs', () => {
  assert.match(scriptFor('zsh'), /^autoload -U \+X bashcompinit/);
  const fish = scriptFor('fish');
  assert.match(fish, /-a doctor -d 'say what this computer offers/);
  assert.match(fish, /-l zD -a '1 0' -d/);
});
