// Node's own tests of sockets, plainly and over shared memory:
//   node -C anole-source tools/node-tests.ts [WORD...]
// fetches the source package of this Node's version through apt, and runs the tests whose names begin with
// `test-WORD` (default: net-). Each that passes plainly must pass with the preload and mode "always". Exit
// codes: 0 all do but those listed below, 1 some do not, 77 the source cannot be had here.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { preloadOptions } from '@anole/smc';

const belowJs = 'puts an HTTP parser below JavaScript upon a handle, before it is connected';
const afterAll =
  'hears of streams once all of a piece is handled, as wherever HTTP/2 lies upon a stream in JavaScript';
/** Tests that cannot pass, and why. */
const exceptions: Readonly<Record<string, string>> = {
  'test-http-parser-timeout-reset': belowJs,
  'test-http-regr-gh-2928': belowJs,
  'test-http-pause-no-dump':
    'fails wherever the HTTP parser does not read below JavaScript, over TCP, too',
  'test-http2-max-session-memory-stalled-headers': afterAll,
  'test-http2-misbehaving-flow-control': afterAll,
  'test-http2-session-destroy-during-receive': afterAll,
  'test-net-persistent-ref-unref': "counts calls of a TCP handle's ref, and the handle is another",
  'test-tls-socket-close':
    'wants an immediate before `close`; data come among the immediates, so that the next comes after it',
};
const TIMEOUT = 60_000;
const directory = join(tmpdir(), `anole-node-tests-${process.versions.node}`);
const words = process.argv.slice(2);

const source = join(directory, 'node');
if (!existsSync(join(source, 'test'))) fetchSource();
const policy = join(directory, 'policy.json');
writeFileSync(policy, '{ "default": "always" }');

const files = ['parallel', 'sequential'].flatMap((folder) =>
  readdirSync(join(source, 'test', folder))
    .filter((name) =>
      (words.length > 0 ? words : ['net-']).some((w) => name.startsWith(`test-${w}`)),
    )
    .filter((name) => /\.m?js$/.test(name))
    .map((name) => join(source, 'test', folder, name)),
);
let plain = 0;
let passed = 0;
const failed: string[] = [];
for (const file of files) {
  const name = basename(file).replace(/\.m?js$/, '');
  if (!passes(file, false)) continue;
  plain++;
  // One that was only slow gets another chance.
  if (passes(file, true) || passes(file, true)) passed++;
  else {
    failed.push(name);
    console.log(`${name}: ${exceptions[name] ?? 'FAILS'}`);
  }
}
console.log(`${files.length} tests; ${plain} pass plainly, ${passed} of them over shared memory`);
process.exit(failed.every((name) => name in exceptions) ? 0 : 1);

function passes(file: string, overMemory: boolean): boolean {
  const [, flags = ''] = /^\/\/ Flags: (.*)$/m.exec(readFileSync(file, 'utf8')) ?? [];
  const env = { ...process.env, ...(overMemory && { ANOLE_SMC_POLICY: policy }) };
  const preload = overMemory ? preloadOptions() : [];
  const args = [...preload, ...flags.split(' ').filter(Boolean), file];
  const options = { cwd: source, env, timeout: TIMEOUT, killSignal: 'SIGKILL' } as const;
  return spawnSync(process.execPath, args, { ...options, stdio: 'ignore' }).status === 0;
}

/** From the mirror that apt is configured for, with lists of its own: those of the computer stay as they are. */
function fetchSource(): void {
  for (const each of ['lists/partial', 'cache/archives/partial', 'node']) {
    mkdirSync(join(directory, each), { recursive: true });
  }
  const format = ['--format', '$(ORIGIN) $(REPO_URI)', 'Created-By: Packages'];
  const mirrors = run('apt-get', 'indextargets', ...format).matchAll(/^Debian (\S+)$/gm);
  const mirror = [...mirrors].map(([, uri]) => uri!).find((uri) => !uri.includes('security'));
  if (mirror === undefined) skip('apt is configured for no mirror of Debian');
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const suites = ['unstable', 'testing', 'stable'].map(
    (suite) => `deb-src [signed-by=${keys}] ${mirror} ${suite} main\n`,
  );
  writeFileSync(join(directory, 'sources.list'), suites.join(''));
  const options = {
    'Dir::Etc::sourcelist': join(directory, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(directory, 'lists'),
    'Dir::Cache': join(directory, 'cache'),
  };
  const given = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  run('apt-get', ...given, 'update');
  const known = run('apt-cache', ...given, 'showsrc', 'nodejs').matchAll(/^Version: (.*)$/gm);
  const version = [...known]
    .map(([, each]) => each!)
    .find((v) => v.startsWith(`${process.versions.node}+`));
  if (version === undefined) skip(`Debian has no source of Node ${process.versions.node}`);
  run('apt-get', ...given, 'source', '--download-only', '--tar-only', `nodejs=${version}`);
  const archive = readdirSync(directory).find((name) => /^nodejs_.*\.orig\.tar\.xz$/.test(name));
  run('tar', '-xf', archive!, '-C', 'node', '--strip-components=1', '--wildcards', '*/test/*');
}

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: directory });
  if (status !== 0) skip(`${command} fails: ${String(stderr).trim()}`);
  return String(stdout);
}

function skip(reason: string): never {
  console.error(`skipped: ${reason}`);
  process.exit(77);
}
