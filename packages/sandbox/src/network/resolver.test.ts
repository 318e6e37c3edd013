import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { readQuestion, writeAddresses, writeQuery } from '@anole/net';
import { Resolver } from './resolver.ts';

async function nameServer(
  answer: (query: Uint8Array, reply: (bytes: Uint8Array) => void) => void,
): Promise<{ socket: Socket; at: string; port: number }> {
  const socket = createSocket('udp4', (query, { port, address }) =>
    answer(Uint8Array.from(query), (bytes) => socket.send(bytes, port, address)),
  );
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  return { socket, at: `127.0.0.1:${port}`, port };
}

describe('the resolver', () => {
  const query = writeQuery(7, 'example.org', 1);

  it('asks by another number than the guest’s, and answers by the guest’s', async () => {
    const numbers: number[] = [];
    const { socket, at } = await nameServer((asked, reply) => {
      numbers.push(readQuestion(asked).id);
      reply(writeAddresses(asked, [{ address: 0x01020304, ttl: 5 }]));
    });
    const resolver = new Resolver([at]);
    const answers = await Promise.all([resolver.query(query), resolver.query(query)]);
    socket.close();
    assert.deepEqual(
      answers.map((answer) => readQuestion(answer).id),
      [7, 7],
    );
    assert.notDeepEqual(numbers, [7, 7]);
  });

  it('takes no answer with another number, and asks the next server', async () => {
    const liar = await nameServer((asked, reply) => {
      const wrong = Uint8Array.from(asked);
      wrong[0]! ^= 1;
      reply(writeAddresses(wrong, [{ address: 0x06060606, ttl: 5 }]));
    });
    const honest = await nameServer((asked, reply) => reply(writeAddresses(asked, [])));
    const answer = await new Resolver([liar.at, honest.at]).query(query);
    liar.socket.close();
    honest.socket.close();
    assert.equal(answer.length, query.length, 'no address in it');
  });

  it('asks again over TCP for what was cut', async () => {
    const { socket, at, port } = await nameServer((asked, reply) => {
      const cut = writeAddresses(asked, []);
      cut[2]! |= 2;
      reply(cut);
    });
    const server = createServer((connection) => {
      connection.on('data', (bytes: Buffer) => {
        if (bytes.length <= 2) return;
        const asked = Uint8Array.from(bytes.subarray(bytes.length - query.length));
        const records = Array.from({ length: 50 }, (_, i) => ({ address: i, ttl: 1 }));
        const answer = writeAddresses(asked, records);
        connection.write(Uint8Array.of(answer.length >> 8, answer.length & 255));
        connection.write(answer);
      });
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    assert.equal((server.address() as AddressInfo).port, port);
    const answer = await new Resolver([at]).query(query);
    socket.close();
    server.close();
    assert.equal(answer.length, query.length + 50 * 16);
  });

  it('fails where nobody answers', async () => {
    const { socket, at } = await nameServer(() => {});
    socket.close();
    await assert.rejects(new Resolver([at]).query(query), /no name server answers/);
  });
});
