import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { memorySource } from '@anole/bytes';
import {
  type ClcMessage,
  type DecodedMessage,
  parseClc,
  SmcCapture,
  SmcError,
  writeCdc,
  writeClc,
  writeLlc,
} from '@anole/smc';
import fc from 'fast-check';
import { clcMessages } from './examples.ts';
import { pcapngOf, pcapOf, SMC_OPTION, sendPacket, tcpPacket } from './packets.ts';

/** Linux 6.12 to Linux 6.12 over soft-RoCE: three connections, bulk data left out. */
const linux = readFileSync(join(import.meta.dirname, 'vectors/linux-6.12-smcrv2-rxe.pcap'));

async function decode(bytes: Uint8Array) {
  const capture = new SmcCapture(memorySource(bytes));
  const messages: DecodedMessage[] = [];
  for await (const message of capture.messages()) messages.push(message);
  return { messages, connections: [...capture.connections()] };
}

const client = ['10.0.0.2', 40000] as const;
const server = ['10.0.0.1', 30001] as const;

/** A connection whose ends send these CLC messages in turn, the client first. */
function handshake(messages: readonly ClcMessage[], answer: readonly number[] = SMC_OPTION) {
  const sent = { client: 1001, server: 5001 };
  const packets = [
    tcpPacket({ from: client, to: server, sequence: 1000, flags: 2, options: SMC_OPTION }),
    tcpPacket({ from: server, to: client, sequence: 5000, flags: 0x12, options: answer }),
  ];
  for (const [index, message] of messages.entries()) {
    const payload = writeClc(message);
    const isClient = index % 2 === 0;
    const sequence = isClient ? sent.client : sent.server;
    if (isClient) sent.client += payload.length;
    else sent.server += payload.length;
    const ends = isClient ? { from: client, to: server } : { from: server, to: client };
    packets.push(tcpPacket({ ...ends, sequence, payload }));
  }
  return packets;
}

const nobody = { peerId: new Uint8Array(8), gid: new Uint8Array(16), mac: new Uint8Array(6) };
const proposal: ClcMessage = {
  kind: 'proposal',
  eyecatcher: 'R',
  version: 1,
  offerV1: 'R',
  offerV2: 'none',
  ...nobody,
  prefix: { ipv4Mask: Uint8Array.of(10, 0, 0, 0), ipv4Length: 24, ipv6: [] },
};
const decline: ClcMessage = {
  kind: 'decline',
  eyecatcher: 'R',
  version: 1,
  isOutOfSync: false,
  peerId: nobody.peerId,
  diagnosis: 0x03070000,
  osType: 1,
};

describe('captures of SMC', () => {
  test('what two Linux kernels said is read whole, and every checksum is right', async () => {
    const { messages, connections } = await decode(linux);
    assert.deepEqual(
      messages.filter(({ problem }) => problem !== undefined),
      [],
    );
    const lines = messages.filter(({ layer }) => layer === 'clc' || layer === 'llc');
    assert.deepEqual(
      lines.slice(0, 7).map(({ summary }) => summary),
      [
        'Proposal version 2: v2.1 SMC-R, EID ANOLE',
        'Accept SMC-R version 2, first contact: QP 17, rkey 0x0000034b, token 1, buffer of 64 KiB, EID ANOLE',
        'Confirm SMC-R version 2, first contact: QP 17, rkey 0x000003cd, token 1, buffer of 64 KiB, EID ANOLE',
        'CONFIRM LINK request v2: link 1 of at most 2, QP 17 at 10.9.0.1',
        'CONFIRM LINK response v2: link 1 of at most 2, QP 17 at 10.9.0.2',
        'ADD LINK request v2: link 2, QP 18',
        'ADD LINK response v2: link 2, QP 18, rejected',
      ],
    );
    const urgent = messages.find(({ summary }) => summary.includes('urgent present'));
    assert.equal(urgent?.connection, 1);
    const transports = connections.map(({ transport, version, isFirstContact }) => {
      return [transport, version, isFirstContact];
    });
    assert.deepEqual(transports, [
      ['SMC-R', '2.1', true],
      ['SMC-R', '2.1', false],
      ['SMC-R', '2.1', false],
    ]);
  });

  test('the messages of Linux are written again byte by byte', async () => {
    const { messages } = await decode(linux);
    const hex = linux.toString('hex');
    let count = 0;
    for (const { layer, message } of messages) {
      if (message === undefined || !('kind' in message)) continue;
      const bytes =
        message.kind === 'cdc'
          ? writeCdc(message)
          : layer === 'llc'
            ? writeLlc(message as never)
            : writeClc(message as never);
      assert.ok(hex.includes(Buffer.from(bytes).toString('hex')), JSON.stringify(message.kind));
      count++;
    }
    assert.equal(count, 79);
  });

  test('a packet whose checksum is wrong is told', async () => {
    const damaged = Uint8Array.from(linux);
    damaged[damaged.length - 20]! ^= 1;
    const { messages } = await decode(damaged);
    const problems = messages.filter(({ problem }) => problem !== undefined);
    assert.equal(problems.length, 1);
    assert.match(problems[0]!.problem!, /ICRC/);
  });

  test('why a connection is TCP is explained', async () => {
    const declined = await decode(pcapOf(handshake([proposal, decline])));
    assert.equal(declined.connections[0]?.transport, 'TCP');
    assert.match(declined.connections[0]?.diagnosis?.reason ?? '', /subnet/);
    const silent = await decode(pcapOf(handshake([], [1, 1, 1, 1])));
    assert.equal(silent.connections[0]?.diagnosis?.code, 0x03010000);
  });

  test('segments that come twice, late or in pieces give the same messages', async () => {
    const bytes = writeClc(proposal);
    const part = (start: number, end: number) =>
      tcpPacket({
        from: client,
        to: server,
        sequence: 1001 + start,
        payload: bytes.subarray(start, end),
      });
    const [syn, answer] = handshake([]);
    const pieces = [part(20, bytes.length), part(0, 3), part(0, 3), part(1, 30), part(10, 25)];
    const { messages } = await decode(pcapOf([syn!, answer!, ...pieces]));
    const found = messages.filter(({ layer }) => layer === 'clc');
    assert.deepEqual(
      found.map(({ message }) => message),
      [parseClc(bytes)],
    );
  });

  test('pcapng gives what pcap gives', async () => {
    const packets = handshake([proposal, decline]);
    const [one, other] = [await decode(pcapOf(packets)), await decode(pcapngOf(packets))];
    assert.deepEqual(other, one);
    assert.equal(one.messages.length, 4);
  });

  test('captures that are damaged end with an error that says where, or with less', async () => {
    const property = fc.asyncProperty(
      fc.nat(linux.length - 1),
      fc.array(fc.tuple(fc.nat(linux.length - 1), fc.nat(255)), { maxLength: 20 }),
      async (cut, changes) => {
        const bytes = Uint8Array.from(linux.subarray(0, cut < 1000 ? linux.length : cut));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          await decode(bytes);
        } catch (error) {
          if (!(error instanceof SmcError)) throw error;
          assert.equal(error.code, 'SMC_BAD_CAPTURE');
          assert.equal(typeof error.details['offset'], 'number');
        }
      },
    );
    await fc.assert(property, { seed: 3, numRuns: 200 });
  });

  test('what is written decodes in tshark without a malformed field', (t) => {
    if (spawnSync('tshark', ['-v']).error) return t.skip('tshark is not installed');
    const directory = mkdtempSync(join(tmpdir(), 'anole-smc-'));
    try {
      const path = join(directory, 'written.pcap');
      const samples = fc.sample(clcMessages, { seed: 1, numRuns: 60 });
      const written = samples.filter((message) => isKnownToTshark(message));
      assert.ok(written.length > 10);
      const packets = written.map((message, index) =>
        tcpPacket({
          from: ['10.0.1.2', 20000 + index],
          to: server,
          sequence: 1,
          payload: writeClc(message),
        }),
      );
      const cdc = writeCdc({
        kind: 'cdc',
        sequence: 7,
        token: 99,
        producer: { wrap: 1, count: 2 },
        consumer: { wrap: 0, count: 5 },
        producerFlags: ['urgentPending'],
        connectionFlags: ['doneWriting'],
      });
      const llc = writeLlc({
        kind: 'confirm-link',
        version: 1,
        isResponse: true,
        flags: 3,
        ...nobody,
        queuePair: 17,
        linkNumber: 1,
        linkUid: 5,
        maxLinks: 2,
        maxConnections: 0,
      });
      const sends = [cdc, llc].map((payload) => sendPacket('10.0.1.2', '10.0.1.1', payload));
      writeFileSync(path, pcapOf([...packets, ...sends]));
      const { stdout } = spawnSync(
        'tshark',
        [
          '-r',
          path,
          '-T',
          'fields',
          '-e',
          '_ws.col.Protocol',
          '-e',
          '_ws.malformed',
          '-e',
          '_ws.col.Info',
        ],
        { encoding: 'utf8' },
      );
      const lines = stdout.trimEnd().split('\n');
      assert.equal(lines.length, packets.length + sends.length);
      for (const line of lines) assert.match(line, /^SMC-?[A-Z]*\t\t/);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

/** Version 1, as the standard has it; what Linux added later is not in every tshark. */
function isKnownToTshark(message: ClcMessage): boolean {
  return message.version === 1 && (message.kind !== 'proposal' || message.offerV1 === 'R');
}
