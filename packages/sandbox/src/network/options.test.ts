import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventThrottle } from './event-throttle.ts';
import { networkOrder, parsePublish } from './options.ts';

describe('ports to publish', () => {
  it('are of loopback, of an address, of any number', () => {
    assert.deepEqual(parsePublish('80'), { host: '127.0.0.1', port: 80, guest: 80 });
    assert.deepEqual(parsePublish('8080:80'), { host: '127.0.0.1', port: 8080, guest: 80 });
    assert.deepEqual(parsePublish('0.0.0.0:0:80'), { host: '0.0.0.0', port: 0, guest: 80 });
  });

  it('are refused where they are none', () => {
    for (const text of ['', ':80', '80:', '80:0', '65536:1', 'a:80:80', '1:2:3:4', '80/udp']) {
      assert.throws(() => parsePublish(text), { code: 'NET_BAD_PORT' }, text);
    }
  });
});

describe('a network', () => {
  it('is public where it is just asked for, and else only what it says', () => {
    assert.equal(networkOrder(true).policy.public, true);
    assert.equal(networkOrder({ allow: ['x.org'] }).policy.public, undefined);
    assert.throws(() => networkOrder({ deny: ['http://'] }), { code: 'NET_BAD_RULE' });
  });
});

describe('events', () => {
  it('are at most a hundred a second', () => {
    let now = 0;
    let passed = 0;
    const throttle = new EventThrottle(
      () => passed++,
      () => now,
    );
    const event = { type: 'lookup', name: 'x', allowed: false, reason: '' } as const;
    for (let i = 0; i < 1000; i++) throttle.add(event);
    assert.equal(passed, 100);
    now = 500;
    for (let i = 0; i < 1000; i++) throttle.add(event);
    assert.equal(passed, 150);
  });
});
