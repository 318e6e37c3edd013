import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { parseIpv4 } from './address.ts';
import { checksum, pseudoHeader } from './checksum.ts';
import { readAddresses, readQuestion, writeAddresses, writeQuery } from './dns/message.ts';
import { PROTOCOL_UDP } from './layout/ipv4.ts';
import { guestNetwork } from './network.ts';
import { TestGuest } from './testing/guest.ts';

const address = (text: string) => parseIpv4(text)!;
const { dns, gateway } = guestNetwork;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (string: string) => new TextEncoder().encode(string);

describe('the checksum', () => {
  it('is that of RFC 1071’s example', () => {
    const data = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    assert.equal(checksum(data), ~0xddf2 & 0xffff);
    assert.equal(checksum(Uint8Array.of(0x01, 0x02, 0x03)), ~0x0402 & 0xffff);
  });

  it('is right in a header that others made', () => {
    // The example of the Wikipedia article "Internet checksum": 0xb861.
    const header = Buffer.from(
      '4500007300004000 4011b861 c0a80001 c0a800c7'.replace(/ /g, ''),
      'hex',
    );
    assert.equal(checksum(header), 0);
  });

  it('counts the pseudo header', () => {
    assert.equal(
      pseudoHeader(0xc0a80001, 0xc0a800c7, 17, 95),
      0xc0a8 + 1 + 0xc0a8 + 0xc7 + 17 + 95,
    );
  });
});

describe('the stack on Ethernet', () => {
  const arp = (target: string) =>
    `ffffffffffff 02616e6f6c0a 0806 0001 0800 06 04 0001 02616e6f6c0a c000020a 000000000000 ${target}`;

  it('answers ARP for its own addresses, and for no other', () => {
    const guest = new TestGuest();
    guest.give(arp('c0000201'));
    assert.deepEqual(guest.hex(), [
      '02616e6f6c0a02616e6f6c01080600010800060400020 2616e6f6c01c000020102616e6f6c0ac000020a'.replace(
        ' ',
        '',
      ),
    ]);
    for (const target of ['c0000203', 'c000020a', '08080808']) guest.give(arp(target));
    assert.deepEqual(guest.hex(), []);
  });

  it('answers pings to the gateway with what was in them', () => {
    const guest = new TestGuest();
    const echo = Buffer.from('0800 0000 1234 0001 6869'.replace(/ /g, ''), 'hex');
    echo.writeUInt16BE(checksum(echo), 2);
    guest.give(guest.packet(1, gateway, echo));
    const [reply] = guest.packets();
    assert.equal(reply!.source, gateway);
    assert.equal(checksum(reply!.body), 0);
    assert.equal(
      Buffer.from(reply!.body)
        .toString('hex')
        .replace(/^(....)..../, '$1'),
      '0000123400016869',
    );
  });

  it('says of pings to others that they are not carried', () => {
    const guest = new TestGuest();
    const echo = Buffer.from('0800f7ff00000000', 'hex');
    guest.give(guest.packet(1, address('8.8.8.8'), echo));
    const [error] = guest.packets();
    assert.deepEqual([...error!.body.subarray(0, 2)], [3, 13]);
    assert.deepEqual(Buffer.from(error!.body.subarray(28)), echo, 'the packet is quoted');
  });

  it('drops what is cut, has a wrong checksum or comes from another address', () => {
    const guest = new TestGuest({ public: true });
    const whole = guest.packet(
      PROTOCOL_UDP,
      address('8.8.8.8'),
      Buffer.from('10000035000c0000aabbccdd', 'hex'),
    );
    for (let length = 0; length < whole.length; length++) guest.give(whole.slice(0, length));
    for (const at of [14, 16, 20, 24, 27]) {
      const broken = whole.slice();
      broken[at]! ^= 1;
      guest.give(broken);
    }
    assert.equal(guest.outside.sockets.length, 0);
    guest.give(whole);
    assert.equal(guest.outside.sockets.length, 1);
  });
});

describe('DHCP', () => {
  const message = (type: number, options: string) => {
    const fixed = Buffer.alloc(240);
    fixed.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
    fixed.set(guestNetwork.guestMac, 28);
    fixed.set([0x63, 0x82, 0x53, 0x63], 236);
    return Buffer.concat([
      fixed,
      Buffer.from([53, 1, type]),
      Buffer.from(options, 'hex'),
      Buffer.of(255),
    ]);
  };
  const ask = (type: number, options = '') => {
    const guest = new TestGuest();
    guest.udp(68, 0xffffffff, 67, message(type, options));
    return guest.packets().map(({ body }) => Buffer.from(body.subarray(8)));
  };

  it('offers the guest’s address, and gives it', () => {
    for (const [type, answer] of [
      [1, 2],
      [3, 5],
    ] as const) {
      const [reply] = ask(type, '3204c000020a');
      assert.equal(reply!.readUInt32BE(4), 0xdeadbeef);
      assert.equal(reply!.readUInt32BE(16), guestNetwork.guest);
      const options = reply!.subarray(240).toString('hex');
      assert.match(options, new RegExp(`^35010${answer}3604c0000201`));
      assert.match(options, /0104ffffff000304c00002010604c0000202/);
      assert.ok(reply!.length >= 300);
    }
  });

  it('refuses another address, and is silent to those who chose another server', () => {
    assert.match(ask(3, '3204c000020b')[0]!.subarray(240).toString('hex'), /^350106/);
    assert.deepEqual(ask(3, '3604c0000209'), []);
    assert.deepEqual(ask(7), []);
  });
});

describe('UDP', () => {
  it('goes out by one socket for each port of the guest, and only known ends answer', () => {
    const guest = new TestGuest();
    guest.udp(4000, address('9.9.9.9'), 123, bytes('one'));
    guest.udp(4000, address('1.1.1.1'), 123, bytes('two'));
    const [socket] = guest.outside.sockets;
    assert.equal(guest.outside.sockets.length, 1);
    assert.deepEqual(
      socket!.sent.map((each) => text(each.bytes)),
      ['one', 'two'],
    );
    socket!.events.message({ address: address('9.9.9.9'), port: 123 }, bytes('answer'));
    socket!.events.message({ address: address('9.9.9.9'), port: 124 }, bytes('stranger'));
    const packets = guest.packets();
    assert.equal(packets.length, 1);
    assert.equal(text(packets[0]!.body.subarray(8)), 'answer');
    const { source, destination, body } = packets[0]!;
    assert.equal(
      checksum(body, 0, body.length, pseudoHeader(source, destination, 17, body.length)),
      0,
    );
  });

  it('comes in fragments where it is large, and goes out of fragments', () => {
    const guest = new TestGuest();
    const large = Uint8Array.from({ length: 4000 }, (_, i) => i);
    const datagram = new Uint8Array([0x10, 0, 0, 123, 15, 168, 0, 0, ...large]);
    guest.give(guest.packet(17, address('9.9.9.9'), datagram.subarray(0, 1480), 0x2000, 7));
    guest.give(
      guest.packet(17, address('9.9.9.9'), datagram.subarray(1480, 2960), 0x2000 | 185, 7),
    );
    guest.give(guest.packet(17, address('9.9.9.9'), datagram.subarray(2960), 370, 7));
    const [socket] = guest.outside.sockets;
    assert.deepEqual(socket!.sent[0]!.bytes, large);
    socket!.events.message({ address: address('9.9.9.9'), port: 123 }, large);
    const fragments = guest.packets();
    assert.deepEqual(
      fragments.map(({ offset, more }) => [offset, more]),
      [
        [0, true],
        [1480, true],
        [2960, false],
      ],
    );
    assert.deepEqual(new Uint8Array(fragments.flatMap(({ body }) => [...body])).subarray(8), large);
  });

  it('keeps at most 128 sockets, and drops those that are silent', () => {
    const guest = new TestGuest();
    for (let port = 1; port <= 1000; port++) guest.udp(port, address('9.9.9.9'), 9, bytes('x'));
    assert.ok(guest.stack.usage.udp <= 128);
    assert.equal(
      guest.outside.sockets.filter(({ closed }) => !closed).length,
      guest.stack.usage.udp,
    );
    guest.now = 61_000;
    guest.udp(5000, address('9.9.9.9'), 9, bytes('x'));
    assert.equal(guest.stack.usage.udp, 1);
  });

  it('says of what the policy closes that it is prohibited', () => {
    const guest = new TestGuest({ allow: ['9.9.9.9:53/udp'] });
    guest.udp(4000, address('9.9.9.9'), 54, bytes('x'));
    assert.deepEqual([...guest.packets()[0]!.body.subarray(0, 2)], [3, 13]);
    guest.udp(4000, address('9.9.9.9'), 53, bytes('x'));
    guest.udp(4000, address('9.9.9.9'), 53, bytes('x'));
    assert.deepEqual(
      guest.events.map((event) => event.allowed),
      [false, true],
    );
  });
});

describe('DNS', () => {
  async function ask(guest: TestGuest, name: string, type = 1) {
    guest.udp(4000, dns, 53, writeQuery(7, name, type));
    await setImmediate();
    const [packet] = guest.packets();
    const message = packet!.body.subarray(8);
    return {
      code: message[3]! & 15,
      id: readQuestion(message).id,
      addresses: readAddresses(message),
    };
  }
  const answering = (guest: TestGuest, ...answers: string[]) => {
    const asked: string[] = [];
    guest.outside.answer = (query) => {
      asked.push(readQuestion(query).name);
      return Promise.resolve(
        writeAddresses(
          query,
          answers.map((each) => ({ address: address(each), ttl: 300 })),
        ),
      );
    };
    return asked;
  };

  it('carries allowed names to the host’s servers, and their addresses open up', async () => {
    const guest = new TestGuest({ allow: ['*.example.org:80'] });
    answering(guest, '5.6.7.8');
    guest.udp(9, address('5.6.7.8'), 80, bytes('x'));
    assert.deepEqual([...guest.packets()[0]!.body.subarray(0, 2)], [3, 13], 'a raw address');
    const { code, addresses } = await ask(guest, 'WWW.example.org');
    assert.deepEqual([code, addresses], [0, [{ address: address('5.6.7.8'), ttl: 300 }]]);
    guest.udp(9, address('5.6.7.8'), 80, bytes('x'));
    assert.deepEqual(guest.packets(), []);
    guest.udp(9, address('5.6.7.8'), 81, bytes('x'));
    assert.equal(guest.packets().length, 1, 'another port');
    guest.now = 300_000 + 300_001;
    guest.udp(10, address('5.6.7.8'), 80, bytes('x'));
    assert.equal(guest.packets().length, 1, 'after its time');
  });

  it('asks for a name and nothing else, and gives it back as it was written', async () => {
    const guest = new TestGuest();
    const queries: string[] = [];
    guest.outside.answer = (query) => {
      queries.push(Buffer.from(query).toString('hex'));
      return Promise.resolve(writeAddresses(query, []));
    };
    const query = Buffer.from([...writeQuery(7, 'eXample.org', 1), ...bytes('secret')]);
    query[11] = 1; // a record behind the question
    guest.udp(4000, dns, 53, query);
    await setImmediate();
    assert.deepEqual(queries, [Buffer.from(writeQuery(7, 'example.org', 1)).toString('hex')]);
    assert.match(text(guest.packets()[0]!.body), /eXample/);
    guest.udp(4000, dns, 53, writeQuery(7, 'a b\u0001.example.org', 1));
    await setImmediate();
    assert.equal(guest.packets()[0]!.body[8 + 3]! & 15, 3);
    assert.equal(queries.length, 1);
  });

  it('does not ask for other names', async () => {
    const guest = new TestGuest({ allow: ['example.org'] });
    const asked = answering(guest, '5.6.7.8');
    for (const name of ['secret.attacker.example', 'notexample.org', 'example.org.evil.example']) {
      assert.equal((await ask(guest, name)).code, 5);
    }
    assert.deepEqual(asked, []);
    assert.deepEqual(
      guest.events.map(({ type }) => type),
      ['lookup', 'lookup', 'lookup'],
    );
  });

  it('refuses answers with addresses that are closed: rebinding', async () => {
    for (const closed of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '192.0.2.1', '0.0.0.0']) {
      const guest = new TestGuest({ public: true, allow: ['*'] });
      answering(guest, '5.6.7.8', closed);
      const { code, addresses } = await ask(guest, 'rebind.example');
      assert.deepEqual([code, addresses], [5, []], closed);
    }
    const guest = new TestGuest({ public: true, allow: ['10.0.0.0/8'] });
    answering(guest, '10.0.0.1');
    assert.equal((await ask(guest, 'db.corp.example')).code, 0);
  });

  it('knows the host by name, and keeps localhost to itself', async () => {
    const guest = new TestGuest();
    const asked = answering(guest, '5.6.7.8');
    assert.deepEqual((await ask(guest, 'host.anole.internal')).addresses[0]!.address, gateway);
    assert.deepEqual((await ask(guest, 'localhost')).addresses[0]!.address, 0x7f000001);
    assert.deepEqual(asked, []);
  });

  it('has no IPv6 addresses, and no answer where nobody gives one', async () => {
    const guest = new TestGuest();
    const { code, addresses } = await ask(guest, 'example.org', 28);
    assert.deepEqual([code, addresses], [0, []]);
    assert.equal((await ask(guest, 'example.org')).code, 2);
  });

  it('takes no answer to another question', async () => {
    const guest = new TestGuest();
    guest.outside.answer = () =>
      Promise.resolve(writeAddresses(writeQuery(7, 'other.org', 1), [{ address: 1, ttl: 1 }]));
    assert.equal((await ask(guest, 'example.org')).code, 2);
  });

  it('cuts what is too long for UDP, and gives all of it over TCP', async () => {
    const guest = new TestGuest();
    answering(guest, ...Array.from({ length: 100 }, (_, i) => `5.6.7.${i}`));
    guest.udp(4000, dns, 53, writeQuery(7, 'many.example', 1));
    await setImmediate();
    const cut = guest.packets()[0]!.body.subarray(8);
    assert.ok(cut.length <= 512);
    assert.equal(cut[2]! & 2, 2);
    guest.tcp({ from: 5000, to: 53, address: dns, sequence: 100, flags: 2 });
    await setImmediate();
    const [synAck] = guest.segments();
    const query = writeQuery(8, 'many.example', 1);
    const acknowledgment = synAck!.sequence + 1;
    const flow = { from: 5000, to: 53, address: dns, sequence: 101, acknowledgment, flags: 16 };
    guest.tcp({ ...flow, data: new Uint8Array([0, query.length, ...query]) });
    await setImmediate();
    const answer = Buffer.concat(guest.segments().map(({ data }) => data));
    assert.equal(answer.readUInt16BE(), answer.length - 2);
    assert.equal(readAddresses(Uint8Array.from(answer.subarray(2))).length, 100);
  });
});
