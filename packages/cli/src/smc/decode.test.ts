import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const main = join(import.meta.dirname, '../main.ts');
const capture = join(import.meta.dirname, '../../../smc/test/vectors/linux-6.12-smcrv2-rxe.pcap');

function decode(...args: string[]) {
  const argv = ['-C', 'anole-source', main, 'smc', 'decode', ...args];
  return spawnSync(process.execPath, argv, { encoding: 'utf8' });
}

test('smc decode prints messages, and for each connection what it went over', () => {
  const { status, stdout, stderr } = decode(capture);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /CLC {2}\[1\] Accept SMC-R version 2, first contact: QP 17/);
  assert.match(stdout, /\[3\] \S+ → \S+: SMC-R version 2\.1 in a known link group, EID ANOLE\n$/);
  assert.equal(decode(capture, '--summary').stdout.trimEnd().split('\n').length, 3);
});

test('smc decode gives every line as JSON', () => {
  const { status, stdout } = decode(capture, '--json', '--all');
  assert.equal(status, 0);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const proposal = lines.find(({ message }) => message?.kind === 'proposal');
  assert.deepEqual(proposal.message.v2.eids, ['ANOLE']);
  assert.equal(lines.at(-1).connection.transport, 'SMC-R');
  assert.ok(lines.some(({ layer }) => layer === 'ack'));
});

test('smc decode says what is not a capture, and tells what a cut one has', () => {
  const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
  try {
    const other = join(directory, 'other');
    writeFileSync(other, 'not a capture');
    const refused = decode(other);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /neither pcap nor pcapng.*next: save it as pcap or pcapng/s);
    const cut = join(directory, 'cut');
    writeFileSync(cut, readFileSync(capture).subarray(0, 5000));
    const half = decode(cut, '--summary');
    assert.equal(half.status, 1);
    assert.match(half.stdout, /\[1\] .*SMC-R version 2\.1/);
    assert.match(half.stderr, /it was cut short/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
