import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExecOptions, Sandbox } from '@anole/sandbox';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function inImage(image: string, argv: readonly string[], options: ExecOptions = {}) {
  await using sandbox = await Sandbox.create(image, { terminals: 0 });
  const { exit, stdout, stderr } = await (await sandbox.exec(argv, options)).output();
  return { code: exit.code, stdout: text(stdout), stderr: text(stderr) };
}

test('python3 of a recipe computes, hashes and finds its standard library', async () => {
  const script = `
import hashlib, json, math, sqlite3, sys
database = sqlite3.connect("/tmp/test.db")
database.execute("create table t (a integer)")
database.executemany("insert into t values (?)", [(n,) for n in range(1000)])
print(json.dumps({
    "sum": database.execute("select sum(a) from t").fetchone()[0],
    "sha256": hashlib.sha256(b"anole").hexdigest()[:16],
    "pi": math.pi, "power": 7 ** 77 % 1000007, "machine": __import__("platform").machine(),
}))`;
  const { code, stdout, stderr } = await inImage('os:python', ['python3', '-c', script]);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), {
    sum: 499500,
    sha256: '56d2b37cdff91d09',
    pi: Math.PI,
    power: Number(7n ** 77n % 1000007n),
    machine: 'riscv64',
  });
});

test('perl of a recipe matches, sorts and finds its modules', async () => {
  const script = `
use strict; use List::Util qw(sum); use Digest::SHA qw(sha256_hex);
my @words = sort { $b cmp $a } ("lizard anole gecko" =~ /(\\w+)/g);
print join(",", @words), " ", sum(1..100), " ", substr(sha256_hex("anole"), 0, 16), " ", sqrt(2), "\\n";`;
  const { code, stdout, stderr } = await inImage('os:perl', ['perl', '-e', script]);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  const root = Number(Math.SQRT2.toPrecision(15)); // perl prints 15 digits
  assert.equal(stdout, `lizard,gecko,anole 5050 56d2b37cdff91d09 ${root}\n`);
});

test('gcc of a recipe builds a C program in the guest, which runs there', async () => {
  const program = `
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int main(int argc, char **argv) {
  int numbers[] = {5, 3, 9, 1};
  qsort(numbers, 4, sizeof *numbers, compare);
  uint64_t hash = 14695981039346656037u;
  for (const char *at = argv[1]; *at; at++) hash = (hash ^ (unsigned char)*at) * 1099511628211u;
  printf("%d%d%d%d %016lx %.17g %zu\\n", numbers[0], numbers[1], numbers[2], numbers[3], hash,
         sqrt(strtod("2", NULL)), sizeof(void *));
  return argc;
}`;
  const script = 'cat > hello.c && gcc -O2 -Wall -Werror -o hello hello.c -lm && ./hello anole';
  const result = await inImage('os:gcc', ['sh', '-c', script], { cwd: '/root', stdin: program });
  assert.equal(result.stderr, '');
  assert.equal(result.code, 2);
  assert.equal(result.stdout, `1359 ${fnv('anole')} ${Math.SQRT2} 8\n`);
});

/** FNV-1a of 64 bits, as the C program has it. */
function fnv(word: string): string {
  let hash = 14695981039346656037n;
  for (const byte of new TextEncoder().encode(word)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 1099511628211n);
  }
  return hash.toString(16).padStart(16, '0');
}
