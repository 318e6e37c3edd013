/**
 * What the agent uses of QuickJS's `std` and `os` modules, which `qjs --std` makes global
 * (QuickJS documentation, section "Standard library"). Calls that fail return minus errno.
 */
interface QuickJsExecOptions {
  readonly block?: boolean;
  readonly usePath?: boolean;
  readonly file?: string;
  readonly cwd?: string;
  readonly stdin?: number;
  readonly stdout?: number;
  readonly stderr?: number;
  readonly env?: Readonly<Record<string, string>>;
}

interface QuickJsStat {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
}

interface QuickJsOs {
  open(path: string, flags: number, mode?: number): number;
  close(fd: number): number;
  read(fd: number, buffer: ArrayBuffer, offset: number, length: number): number;
  write(fd: number, buffer: ArrayBuffer, offset: number, length: number): number;
  pipe(): [number, number] | null;
  mkdir(path: string, mode?: number): number;
  remove(path: string): number;
  /** Times in milliseconds. */
  utimes(path: string, atime: number, mtime: number): number;
  symlink(target: string, path: string): number;
  readdir(path: string): [string[], number];
  stat(path: string): [QuickJsStat | null, number];
  exec(argv: readonly string[], options: QuickJsExecOptions): number;
  waitpid(pid: number, options: number): [number, number];
  kill(pid: number, signal: number): number;
  signal(signal: number, handler: (() => void) | null): void;
  setReadHandler(fd: number, handler: (() => void) | null): void;
  setWriteHandler(fd: number, handler: (() => void) | null): void;
  sleep(milliseconds: number): void;
  setTimeout(handler: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  readonly SIGCHLD: number;
  readonly WNOHANG: number;
}

interface QuickJsStd {
  exit(code: number): never;
}

declare const os: QuickJsOs;
declare const std: QuickJsStd;
