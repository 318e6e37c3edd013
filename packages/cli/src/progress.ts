import type { Progress } from '@anole/bytes';

/** Where progress goes: a terminal that redraws, a log that gets a line per step, or nowhere. */
export interface ProgressDisplay {
  report(progress: Progress): void;
  /** Makes room for a line of other output: whatever is half drawn is cleared. */
  clear(): void;
  /** Draws no more. */
  end(): void;
}

interface Screen {
  write(text: string): unknown;
  readonly columns?: number;
}

const redrawEvery = 80; // ms: smooth to the eye, cheap over ssh
const silence = 2000; // ms between two lines of one step in a log

export const silentProgress: ProgressDisplay = { report() {}, clear() {}, end() {} };

/** One line, redrawn in place; a finished step leaves nothing behind. */
export function terminalProgress(screen: Screen): ProgressDisplay {
  let drawn = false;
  let last = 0;
  let step = '';
  let startedAt = 0;
  let ended = false;
  const clear = () => {
    if (drawn) screen.write('\r\x1b[K');
    drawn = false;
  };
  return {
    report(progress) {
      const now = Date.now();
      if (ended || (progress.step === step && now - last < redrawEvery)) return;
      if (progress.step !== step) startedAt = now;
      step = progress.step;
      last = now;
      // A pseudo-terminal that nobody gave a size says 0.
      const width = (screen.columns || 80) - 1;
      screen.write(`\r${fit(line(progress, now - startedAt), width)}\x1b[K`);
      drawn = true;
    },
    clear,
    end() {
      clear();
      ended = true;
    },
  };
}

/** A plain line when a step begins and every two seconds while it lasts. */
export function plainProgress(screen: Screen): ProgressDisplay {
  let step = '';
  let last = 0;
  let startedAt = 0;
  let ended = false;
  return {
    report(progress) {
      const now = Date.now();
      if (ended || (progress.step === step && now - last < silence)) return;
      if (progress.step !== step) startedAt = now;
      step = progress.step;
      last = now;
      screen.write(`anole: ${line(progress, now - startedAt)}\n`);
    },
    clear() {},
    end() {
      ended = true;
    },
  };
}

function line(progress: Progress, elapsed: number): string {
  const { step, done, total, unit, detail } = progress;
  const parts = [step];
  if (total !== undefined && total > 0) {
    parts.push(bar(done / total), `${amount(done, unit)} of ${amount(total, unit)}`);
  } else if (done > 0) parts.push(amount(done, unit));
  if (unit === 'bytes' && elapsed > 500) parts.push(`${amount((done / elapsed) * 1000, unit)}/s`);
  if (detail !== undefined) parts.push(detail);
  return parts.join('  ');
}

function bar(share: number): string {
  const width = 20;
  const full = Math.round(Math.min(Math.max(share, 0), 1) * width);
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`;
}

function amount(value: number, unit: Progress['unit']): string {
  if (unit === 'bytes') return formatBytes(value);
  return unit === 'seconds' ? `${value.toFixed(1)} s` : String(Math.round(value));
}

/** A size for people: `3.2 MB`, powers of ten. */
export function formatBytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  return `${unit === 0 || scaled >= 99.95 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`;
}

/** Cuts at `width` characters; control characters of names become `?`. */
function fit(text: string, width: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return clean.length <= width ? clean : `${clean.slice(0, Math.max(width - 1, 0))}…`;
}
