/** In a worker of the demo's page: the machine. */
import { BrowserSandbox, type BrowserShell } from '@anole/sandbox/browser';
import type { ToPage, ToWorker } from './talk.ts';

// The types of a page are at hand, not those of workers; both have these.
const here = globalThis as unknown as {
  onmessage: (event: { readonly data: ToWorker }) => void;
  postMessage(message: ToPage): void;
  readonly location: { readonly href: string };
};

let shell: BrowserShell | undefined;

here.onmessage = ({ data }) => {
  if (data.type === 'start') void start(data).catch(failed);
  else if (data.type === 'input') void shell?.write(data.bytes).catch(failed);
  else if (data.type === 'consumed') shell?.consumed(data.bytes);
  else shell?.resize(data);
};

async function start({ columns, rows }: { columns: number; rows: number }): Promise<void> {
  const begun = performance.now();
  const sandbox = await BrowserSandbox.start({
    image: new URL('/image.erofs', here.location.href).href,
    template: new URL('/template.snapshot', here.location.href).href,
    onProgress: ({ done, total }) => here.postMessage({ type: 'progress', done, total }),
  });
  const size = { columns, rows };
  shell = await sandbox.shell(['/bin/sh', '-c', 'exec bash -il || exec sh -il'], size, (bytes) =>
    here.postMessage({ type: 'output', bytes }),
  );
  here.postMessage({ type: 'started', milliseconds: performance.now() - begun });
  const tell = () => here.postMessage({ type: 'figures', figures: sandbox.statistics });
  const ticking = setInterval(tell, 500);
  here.postMessage({ type: 'ended', code: await shell.ended });
  clearInterval(ticking);
  await sandbox.close();
}

function failed(error: unknown): void {
  const { message, hint } = error as { message: string; hint?: string };
  here.postMessage({
    type: 'failed',
    message: hint === undefined ? message : `${message}. ${hint}`,
  });
}
