/**
 * A sandbox in a page: the machine goes on from a template, its image is read at a URL as the guest
 * asks for it. Imports nothing of Node's. Best run in a Worker: the guest takes all of a processor.
 *
 * @example
 * import { BrowserSandbox } from '@anole/sandbox/browser';
 * const sandbox = await BrowserSandbox.start({ image: '/image.erofs', template: '/template.snapshot' });
 * const shell = await sandbox.shell(['bash', '-i'], { columns: 80, rows: 24 }, (bytes) => show(bytes));
 * shell.write(new TextEncoder().encode('uname -a\r'));
 */
export {
  BrowserSandbox,
  type BrowserSandboxOptions,
  type BrowserShell,
  type BrowserStatistics,
} from './browser-sandbox.ts';
