import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Chromium, noChromium, type Page } from './chromium.ts';

const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');

/** `anole demo` in a process of its own. */
async function startDemo(): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ['-C', 'anole-source', main, 'demo', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const chunk of child.stdout!) {
    text += String(chunk);
    if (text.includes('\n')) return { child, url: JSON.parse(text).url };
  }
  throw new Error('anole demo ended before it served');
}

const screen = (page: Page) =>
  page.run<string>(`return document.querySelector('.xterm-rows')?.innerText ?? ''`);
const status = (page: Page) =>
  page.run<string>(`return document.getElementById('status').textContent`);

/** Waits until a page shows something; fails with what it shows when that takes minutes. */
async function shows(page: Page, what: RegExp): Promise<string> {
  for (const end = Date.now() + 240_000; Date.now() < end; ) {
    const text = await screen(page);
    if (what.test(text)) return text;
    const told = await status(page);
    assert.doesNotMatch(told, /^failed/, [told, ...page.console].join('\n'));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(
    [`${what} was not shown`, await status(page), await screen(page), ...page.console].join('\n'),
  );
}

async function type(page: Page, text: string): Promise<void> {
  for (const key of text) {
    const event =
      key === '\r' ? { key: 'Enter', text: '\r', windowsVirtualKeyCode: 13 } : { key, text: key };
    await page.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
    await page.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }
}

describe('anole demo', { skip: noChromium() }, () => {
  let demo: Awaited<ReturnType<typeof startDemo>>;
  before(async () => {
    demo = await startDemo();
  });
  after(async () => {
    const ended = new Promise((resolve) => demo.child.once('exit', resolve));
    demo.child.kill('SIGINT');
    await ended;
  });

  test('a page goes on from a saved machine and answers what is typed', async () => {
    await using browser = new Chromium();
    const page = await browser.open(demo.url);
    await shows(page, /# $|\$ $|#\s*$/m);
    await type(
      page,
      'echo $((6 * 7)) $(uname -m) > /root/answer; cat /root/answer /etc/debian_version\r',
    );
    await shows(page, /^42 riscv64\s*\n13/m);
    assert.match(await status(page), /^os:base runs in this page/);
    const [read, size] = await page.run<[number, number]>(`
      for (;;) {
        const text = document.getElementById('figures').textContent;
        const match = /([\\d.]+) MB of ([\\d.]+) MB read/.exec(text);
        if (match) return [Number(match[1]), Number(match[2])];
        await new Promise((resolve) => setTimeout(resolve, 100));
      }`);
    assert.ok(read < size / 2, `${read} of ${size} MB`);
  });

  test('files that are not for pages are not served', async () => {
    const ask = (path: string, headers: Record<string, string> = {}) =>
      fetch(new URL(path, demo.url), { headers }).then(({ status }) => status);
    assert.equal(await ask('/modules/@anole/cli/package.json'), 404);
    assert.equal(await ask('/modules/@anole/cli/../../package.json'), 404);
    assert.equal(await ask('/modules/@anole/cli/%2e%2e/%2e%2e/tools/test.ts'), 404);
    assert.equal(await ask('/etc/passwd'), 404);
    assert.equal(await ask('/image.erofs', { range: 'bytes=999999999999-' }), 416);
    assert.equal(await ask('/image.erofs', { range: 'bytes=1024-1027' }), 206);
  });
});
