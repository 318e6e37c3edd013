import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { hasNative } from '@anole/host/native';
import { prometheusText, type Report, smcReports } from '@anole/smc';
import { reportPrefix } from '../src/socket/report.ts';

test('counters of all threads are added up for Prometheus, in its text format', () => {
  const report = (fallbacks: Report['counters']['fallbacks']): Report => ({
    pid: 1,
    thread: 0,
    program: 'node app.js',
    counters: { connected: 3, accepted: 4, open: 5, kernel: 6, links: 1, fallbacks },
    connections: [],
  });
  const text = prometheusText([report({ noPeer: 2, off: 1 }), report({ noPeer: 5 })]);
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.deepEqual(samples, [
    'anole_smc_connections_total{role="client"} 6',
    'anole_smc_connections_total{role="server"} 8',
    'anole_smc_kernel_connections_total 12',
    'anole_smc_fallbacks_total{reason="noPeer"} 7',
    'anole_smc_fallbacks_total{reason="off"} 1',
    'anole_smc_connections 10',
    'anole_smc_links 2',
  ]);
  // Each family has its help and its type before its samples, and the text ends with a line feed.
  for (const [name, type] of [
    ['connections_total', 'counter'],
    ['kernel_connections_total', 'counter'],
    ['fallbacks_total', 'counter'],
    ['connections', 'gauge'],
    ['links', 'gauge'],
  ]) {
    assert.match(
      text,
      new RegExp(`^# HELP anole_smc_${name} .+\n# TYPE anole_smc_${name} ${type}\nanole`, 'm'),
    );
  }
  assert.ok(text.endsWith('\n'));
});

const skip = hasNative() ? false : 'koffi is not installed for this platform';
const notRoot = process.getuid!() === 0 ? false : 'only root can become another user';

test('what another user says under a name of ours is not believed', {
  skip: skip || notRoot,
}, async (t) => {
  const claims = (pid: number) => JSON.stringify({ pid, thread: 0, connections: [] });
  const ours = createServer((socket) => socket.end(claims(1)));
  ours.listen(`\0${reportPrefix()}own/0`);
  t.after(() => ours.close());
  const source = `
    process.setgid(65534); process.setuid(65534);
    require('node:net')
      .createServer((socket) => socket.on('error', () => {}).end(${JSON.stringify(claims(2))}))
      .listen(${JSON.stringify(`\0${reportPrefix()}other/0`)}, () => process.send('ready'));
    process.on('disconnect', () => process.exit());`;
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
  const other = spawn(process.execPath, ['-e', source], { stdio: [...stdio] });
  t.after(() => other.disconnect());
  await once(other, 'message');
  const found = (await smcReports()).map(({ pid }) => pid);
  assert.deepEqual([found.includes(1), found.includes(2)], [true, false]);
});
