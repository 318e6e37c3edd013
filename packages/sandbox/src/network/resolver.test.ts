import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, it } from 'node:test';
import { readQuestion, writeAddresses, writeQuery } from '@anole/net';
import { Resolver } from './resolver.ts';

type Answer = (query: Uint8Array, reply: (bytes: Uint8Array) => void) => void;

async function nameServer(answer: Answer, at = 0): Promise<{ socket: Socket; at: string }> {
  const socket = createSocket('udp4', (query, { port, address }) =>
    answer(Uint8Array.from(query), (bytes) => socket.send(bytes, port, address)),
  );
  socket.bind(at, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, at: `127.0.0.1:${socket.address().port}` };
}

/** At the same port as a server of TCP, which is to listen: at one that nobody else has for UDP. */
async function nameServerBeside(server: Server, answer: Answer): ReturnType<typeof nameServer> {
  for (;;) {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      return await nameServer(answer, port);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      await new Promise((closed) => server.close(closed));
    }
  }
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
    const { socket, at } = await nameServerBeside(server, (asked, reply) => {
      const cut = writeAddresses(asked, []);
      cut[2]! |= 2;
      reply(cut);
    });
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
