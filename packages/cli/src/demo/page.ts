/** The script of the demo's page: a terminal, and a worker with the machine. */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import type { ToPage, ToWorker } from './talk.ts';

const status = element('status');
const figures = element('figures');
const progress = element('progress') as HTMLProgressElement;

const terminal = new Terminal({
  cursorBlink: true,
  fontSize: 14,
  theme: { background: '#14181b' },
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(element('terminal'));
fit.fit();
terminal.focus();

const worker = new Worker(import.meta.url.replace(/page(\.[a-z]+)$/, 'page-worker$1'), {
  type: 'module',
});
const tell = (message: ToWorker): void => worker.postMessage(message);
const encoder = new TextEncoder();

worker.onmessage = ({ data }: MessageEvent<ToPage>) => accept(data);
worker.onerror = (event) => fail(event.message || 'the machine could not be loaded');
terminal.onData((text) => tell({ type: 'input', bytes: encoder.encode(text) }));
terminal.onBinary((text) => {
  tell({ type: 'input', bytes: Uint8Array.from(text, (unit) => unit.charCodeAt(0)) });
});
terminal.onResize(({ cols, rows }) => tell({ type: 'resize', columns: cols, rows }));
addEventListener('resize', () => fit.fit());

status.textContent = 'loading the machine';
tell({ type: 'start', columns: terminal.cols, rows: terminal.rows });

function accept(message: ToPage): void {
  if (message.type === 'output') {
    const { bytes } = message;
    terminal.write(bytes, () => tell({ type: 'consumed', bytes: bytes.length }));
  } else if (message.type === 'progress') {
    progress.hidden = false;
    progress.max = message.total ?? message.done;
    progress.value = message.done;
    status.textContent = `fetching the machine: ${megabytes(message.done)}`;
  } else if (message.type === 'started') {
    progress.hidden = true;
    const image = element('terminal').dataset['image'];
    status.textContent = `${image} runs in this page, ${(message.milliseconds / 1000).toFixed(1)} s after it was asked for`;
  } else if (message.type === 'figures') {
    const { read, image, instructions } = message.figures;
    figures.textContent = `${megabytes(read)} of ${megabytes(image)} read, ${(instructions / 1e6).toFixed(0)} M instructions`;
  } else if (message.type === 'ended') {
    status.textContent = `ended with ${message.code}; load the page again for another`;
  } else fail(message.message);
}

function fail(message: string): void {
  progress.hidden = true;
  status.className = 'failed';
  status.textContent = `failed: ${message}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}
