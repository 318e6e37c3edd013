import type { GuestFile } from './userland.ts';

/** What a guest does between two marks: a line of shell. */
export interface Workload {
  readonly name: string;
  readonly script: string;
}

export const packages = [
  'base-files',
  'dash',
  'coreutils',
  'mount',
  'gzip',
  'xz-utils',
  'python3',
  'perl',
  'gcc',
  'libc6-dev',
] as const;

/** Each takes QEMU some two seconds. */
export const workloads: readonly Workload[] = [
  { name: 'sh loop', script: 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done' },
  { name: 'dd', script: 'dd if=/dev/zero of=/dev/null bs=64k count=20000 2>/dev/null' },
  { name: 'sha256sum', script: 'head -c 40000000 /dev/zero | sha256sum >/dev/null' },
  { name: 'gzip', script: 'head -c 5000000 /usr/bin/perl | gzip >/dev/null' },
  { name: 'xz', script: 'head -c 1000000 /usr/bin/perl | xz -2 >/dev/null' },
  { name: 'python3', script: 'python3 -I /bench/mixed.py' },
  { name: 'perl', script: 'perl /bench/regex.pl' },
  { name: 'gcc -O2', script: 'gcc -O2 -c /bench/long.c -o /tmp/long.o' },
  { name: 'matrix', script: '/tmp/matrix' },
  { name: 'n-body', script: '/tmp/nbody' },
  { name: 'sqlite3', script: 'python3 -I /bench/sqlite.py' },
  {
    name: 'many processes',
    script: 'i=0; while [ $i -lt 200 ]; do /usr/bin/true; i=$((i+1)); done',
  },
];

/** Before the first workload: what takes no part in any of them. */
const preparation = `
gcc -O2 /bench/matrix.c -o /tmp/matrix && gcc -O2 /bench/nbody.c -o /tmp/nbody -lm
python3 -I -c 'import sqlite3, sys'`;

export const marks = {
  begin: (name: string): string => `BEGIN ${name};`,
  end: (name: string): string => `END ${name};`,
} as const;

/** Printed when the guest has reached its init. */
export const readyMark = 'GUEST-READY';

/** The guest's init: all workloads, each between its marks, and power off. */
function init(): string {
  const lines = workloads.flatMap(({ name, script }) => [
    `echo '${marks.begin(name)}'`,
    script,
    `echo '${marks.end(name)}'`,
  ]);
  return `#!/bin/sh
export PATH=/usr/bin:/usr/sbin
mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp; mount -t proc proc /proc
exec >/dev/console 2>&1 </dev/null
echo ${readyMark}${preparation}
${lines.join('\n')}
echo DONE
python3 -I -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
`;
}

const mixed = `
import random
def primes(n):
    sieve = bytearray([1]) * n
    for i in range(2, int(n ** 0.5) + 1):
        if sieve[i]:
            for j in range(i * i, n, i):
                sieve[j] = 0
    return sum(sieve)
def words(n):
    rng = random.Random(7)
    counts = {}
    for _ in range(n):
        word = 'w%d' % rng.randrange(5000)
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
def text(n):
    line = ' '.join(str(i * i) for i in range(n))
    return sum(len(part) for part in line.replace('1', 'one').split(' '))
print(primes(300000), words(60000)[0], text(60000), sum(i * 3 % 7 for i in range(300000)))
`;

const regex = `
my $text = join ' ', map { "user$_\\@host" . ($_ % 97) . ".example.org id=" . ($_ * 7919) } 1 .. 20000;
my ($mails, $ids, $sum) = (0, 0, 0);
for (1 .. 3) {
  $mails++ while $text =~ /\\b([a-z]+\\d+)\\@((?:[a-z0-9]+\\.)+[a-z]{2,})\\b/g;
  while ($text =~ /id=(\\d+)/g) { $ids++; $sum += $1 }
  (my $copy = $text) =~ s/(\\d)(\\d)/$2$1/g;
}
print "$mails $ids $sum\\n";
`;

const sqlite = `
import sqlite3
db = sqlite3.connect(':memory:')
db.execute('create table t (id integer primary key, name text, value real)')
db.execute('create index names on t (name)')
for i in range(12000):
    db.execute('insert into t (name, value) values (?, ?)', ('name%d' % (i * 7919 % 12000), i / 3))
db.commit()
total = 0
for i in range(6000):
    row = db.execute('select id, value from t where name = ?', ('name%d' % i,)).fetchone()
    total += row[0]
print(total, db.execute('select count(*), sum(value) from t where value > 100').fetchone())
`;

const matrix = `
#include <stdio.h>
enum { n = 256 };
static double a[n][n], b[n][n], c[n][n];
int main(void) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) { a[i][j] = (i * 7 + j) % 11 / 3.0; b[i][j] = (i + j * 5) % 13 / 7.0; }
  for (int round = 0; round < 6; round++)
    for (int i = 0; i < n; i++)
      for (int k = 0; k < n; k++) {
        double x = a[i][k];
        for (int j = 0; j < n; j++) c[i][j] += x * b[k][j];
      }
  double sum = 0;
  for (int i = 0; i < n; i++) sum += c[i][(i * 31) % n];
  printf("%.6f\\n", sum);
}
`;

const nbody = `
#include <math.h>
#include <stdio.h>
enum { bodies = 5 };
static double x[bodies][3] = {{0,0,0},{4.84,-1.16,-.10},{8.34,4.12,-.40},{12.8,-15.1,-.22},{15.3,-25.9,.17}};
static double v[bodies][3] = {{0,0,0},{.6,2.8,-.02},{-1.01,1.8,.008},{1.08,.86,-.01},{.97,.59,-.03}};
static double m[bodies] = {39.47,.03769,.01128,.00172,.00203};
int main(void) {
  for (int step = 0; step < 400000; step++) {
    for (int i = 0; i < bodies; i++)
      for (int j = i + 1; j < bodies; j++) {
        double d[3], square = 0;
        for (int k = 0; k < 3; k++) { d[k] = x[i][k] - x[j][k]; square += d[k] * d[k]; }
        double force = .001 / (square * sqrt(square));
        for (int k = 0; k < 3; k++) { v[i][k] -= d[k] * m[j] * force; v[j][k] += d[k] * m[i] * force; }
      }
    for (int i = 0; i < bodies; i++)
      for (int k = 0; k < 3; k++) x[i][k] += .001 * v[i][k];
  }
  printf("%.9f %.9f\\n", x[0][0], x[1][1]);
}
`;

/** A C file of 2,000 lines, a third of it code: functions that call each other, none inlined. */
function longSource(): string {
  const lines = ['extern int table[64];'];
  for (let index = 0; lines.length < 1990; index++) {
    lines.push(
      '',
      '/*',
      ` * Function ${index}: counts down, and mixes.`,
      ...Array.from({ length: 14 }, (_, line) => ` * Line ${line} of what is to be known of it.`),
      ' */',
      `__attribute__((noinline)) int f${index}(int a, int b) {`,
      `  int sum = ${index};`,
      `  if (a > b + ${index % 9}) sum += a * ${index + 3};`,
      `  else sum -= b % ${index + 2};`,
      `  while (a-- > 0) sum ^= b << (a & ${1 + (index % 7)});`,
      index === 0 ? '  sum++;' : `  if (sum < 0) sum = f${index - 1}(b, sum);`,
      `  table[${index % 64}] = sum;`,
      '  return sum;',
      '}',
    );
  }
  return lines.join('\n');
}

export const files: readonly GuestFile[] = [
  { path: 'init', content: init(), mode: 0o755 },
  { path: 'bench/mixed.py', content: mixed },
  { path: 'bench/regex.pl', content: regex },
  { path: 'bench/sqlite.py', content: sqlite },
  { path: 'bench/matrix.c', content: matrix },
  { path: 'bench/nbody.c', content: nbody },
  { path: 'bench/long.c', content: longSource() },
  ...['dev', 'tmp', 'proc'].map((name) => ({ path: `${name}/.keep`, content: '' })),
];
