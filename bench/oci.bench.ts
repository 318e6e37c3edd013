import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from './harness.ts';
import { registry } from './registry.ts';

const anole = join(import.meta.dirname, '../packages/cli/bin/anole.js');
/** Directories of this computer, a layer each: some hundred megabytes of programs and texts. */
const sources = ['/usr/lib/python3', '/usr/share/perl', '/usr/lib/git-core', '/usr/share/doc'];

/** Whole commands beside one another, against a registry on loopback. */
export default async function oci(report: Report): Promise<void> {
  const missing = ['docker-registry', 'skopeo', 'umoci'].filter((tool) => !isThere(tool));
  if (missing.length > 0 || process.geteuid?.() !== 0) {
    return report.skip('images', `needs root and ${missing.join(', ') || 'nothing else'}`);
  }
  await using resources = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'anole-bench-'));
  resources.defer(() => rmSync(directory, { recursive: true, force: true }));
  const start = async () => (await resources.use(await registry(directory))).host;
  await compare(report, directory, start);
}

async function compare(
  report: Report,
  directory: string,
  start: () => Promise<string>,
): Promise<void> {
  const host = await start();
  const at = (name: string) => join(directory, name);
  const layout = makeImage(at('image'), at('bundle'));
  const env = { ...process.env, ANOLE_CACHE: at('cache'), HOME: directory };
  const ours = (...args: string[]) =>
    void execFileSync(process.execPath, [anole, 'image', ...args], { env, stdio: 'ignore' });
  const skopeo = (...args: string[]) =>
    void execFileSync('skopeo', ['copy', ...args], { stdio: 'ignore' });
  const size = Number(execFileSync('du', ['-sb', layout]).toString().split('\t')[0]);
  report.note(`an image of ${sources.length} layers, ${Math.round(size / 1e6)} MB compressed`);
  const name = `${host}/bench/image:1`;
  skopeo('--dest-tls-verify=false', `oci:${layout}:made`, `docker://${name}`);
  await report.compare({
    name: 'pull',
    ours: {
      name: 'anole',
      before: () => rmSync(at('cache'), { recursive: true, force: true }),
      run: () => ours('pull', name),
    },
    peer: {
      name: 'skopeo',
      before: () => rmSync(at('pulled'), { recursive: true, force: true }),
      run: () => skopeo('--src-tls-verify=false', `docker://${name}`, `oci:${at('pulled')}:made`),
    },
    target: 1,
  });
  // A registry of its own for each: one that has the blobs takes them over from one another.
  let fresh = '';
  const before = async () => {
    fresh = `${await start()}/bench/image:1`;
  };
  await report.compare({
    name: 'push',
    ours: { name: 'anole', before, run: () => ours('push', name, fresh) },
    peer: {
      name: 'skopeo',
      before,
      run: () => skopeo('--dest-tls-verify=false', `oci:${layout}:made`, `docker://${fresh}`),
    },
    target: 1,
  });
  await report.compare({
    name: 'unpack',
    ours: {
      name: 'anole',
      before: () => rmSync(at('ours'), { recursive: true, force: true }),
      run: () => ours('unpack', `oci:${layout}:made`, at('ours')),
    },
    peer: {
      name: 'umoci',
      before: () => rmSync(at('theirs'), { recursive: true, force: true }),
      run: () =>
        void execFileSync('umoci', ['unpack', '--image', `${layout}:made`, at('theirs')], {
          stdio: 'ignore',
        }),
    },
    target: 1,
  });
  await compareConversion(report, at, layout, 'erofs');
  await compareConversion(report, at, layout, 'rafs');
}

/** A conversion, verified, beside copying and unpacking the same image. */
async function compareConversion(
  report: Report,
  at: (name: string) => string,
  layout: string,
  format: 'erofs' | 'rafs',
): Promise<void> {
  const env = { ...process.env, ANOLE_CACHE: at('cache') };
  const convert = [process.execPath, anole, 'image', 'convert', `oci:${layout}:made`];
  const remove = (name: string) => rmSync(at(name), { recursive: true, force: true });
  let peak = 0;
  await report.compare({
    name: `convert to ${format.toUpperCase()}`,
    ours: {
      name: 'anole',
      before: () => remove('converted'),
      run() {
        const command = [...convert, `oci:${at('converted')}:v`, '--format', format];
        peak = Math.max(peak, peakMemory(command, env));
      },
    },
    peer: {
      name: 'skopeo copy and umoci unpack',
      before: () => ['copied', 'unpacked'].forEach(remove),
      run() {
        const quiet = { stdio: 'ignore' } as const;
        execFileSync('skopeo', ['copy', `oci:${layout}:made`, `oci:${at('copied')}:made`], quiet);
        const image = `${at('copied')}:made`;
        execFileSync('umoci', ['unpack', '--image', image, at('unpacked')], quiet);
      },
    },
    runs: 3,
    target: 1.5,
  });
  report.figure('peak memory of the conversion (at most 300)', peak, 'MiB');
}

/** Runs a command to its end; MiB that it or its children took at most. */
function peakMemory(command: readonly string[], env: NodeJS.ProcessEnv): number {
  const script = `import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)`;
  const output = execFileSync('python3', ['-c', script, ...command], { env });
  return Number(output) / 1024;
}

/** An image by umoci: a layer for each source. */
function makeImage(layout: string, bundle: string): string {
  const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: 'ignore' });
  umoci('init', '--layout', layout);
  umoci('new', '--image', `${layout}:made`);
  for (const source of sources.filter(isThereFile)) {
    umoci('insert', '--image', `${layout}:made`, source, source);
  }
  rmSync(bundle, { recursive: true, force: true });
  return layout;
}

function isThere(tool: string): boolean {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function isThereFile(path: string): boolean {
  try {
    execFileSync('test', ['-e', path]);
    return true;
  } catch {
    return false;
  }
}
