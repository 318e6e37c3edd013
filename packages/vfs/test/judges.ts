import { spawnSync } from 'node:child_process';

/** Why a tool cannot judge here, or false: for the `skip` of a test. */
export function missing(tool: string): string | false {
  const { error } = spawnSync(tool, ['--version'], { stdio: 'ignore' });
  return error ? `${tool} is not installed` : false;
}

/** Runs a tool to its end. Throws with its complaints where it fails. */
export function run(
  command: readonly string[],
  options: { readonly input?: Uint8Array; readonly cwd?: string } = {},
): Buffer {
  const [tool, ...rest] = command;
  const { status, stdout, stderr, error } = spawnSync(tool!, rest, {
    ...options,
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** One member of an archive as Python's tarfile sees it. Names are hexadecimal. */
export interface PythonMember {
  readonly name: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: string;
  readonly link: string;
  readonly device: readonly [number, number];
  readonly xattrs: Readonly<Record<string, string>>;
  /** Of the content with its holes; empty for all but files. */
  readonly sha256: string;
}

const script = `
import hashlib, io, json, sys, tarfile
P = 'SCHILY.xattr.'
raw = lambda text: text.encode('utf-8', 'surrogateescape').hex()
members = []
with tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read())) as archive:
    for m in archive:
        digest = ''
        if m.isreg():
            digest = hashlib.sha256(archive.extractfile(m).read()).hexdigest()
        members.append(dict(name=raw(m.name), type=m.type.decode(), mode=m.mode, uid=m.uid,
            gid=m.gid, size=m.size, mtime=m.pax_headers.get('mtime', str(m.mtime)),
            link=raw(m.linkname), device=[m.devmajor, m.devminor], sha256=digest,
            xattrs={k[len(P):]: raw(v) for k, v in m.pax_headers.items() if k.startswith(P)}))
json.dump(members, sys.stdout)
`;

/** Lists an archive by Python's tarfile. */
export function pythonMembers(archive: Uint8Array): PythonMember[] {
  return JSON.parse(run(['python3', '-c', script], { input: archive }).toString());
}
