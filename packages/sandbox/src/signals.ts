import { SandboxError } from './errors.ts';

/** Linux's signals, the same on all architectures anole knows (asm-generic/signal.h). */
export const signalNumbers = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

export type SignalName = keyof typeof signalNumbers;

/** The number of a signal given by name or number. */
export function signalNumber(signal: SignalName | number): number {
  const number = typeof signal === 'number' ? signal : signalNumbers[signal];
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new SandboxError('SANDBOX_BAD_OPTION', `Cannot send the signal ${signal}`, {
    hint: 'Name it as in SIGTERM, or give a number from 1 to 64',
  });
}

/** The name of a signal's number; real-time signals have none. */
export function signalName(number: number): SignalName | undefined {
  const found = Object.entries(signalNumbers).find(([, value]) => value === number);
  return found?.[0] as SignalName | undefined;
}
