import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prometheusText, type Report } from '@anole/smc';

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
