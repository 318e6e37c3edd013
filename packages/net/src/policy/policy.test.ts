import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseIpv4 } from '../address.ts';
import { Policy, type PolicyOptions } from './policy.ts';
import { parseRule } from './rule.ts';

const address = (text: string) => parseIpv4(text)!;

/** Whether `address:port` is open, to whom looked up `names`. */
function opens(options: PolicyOptions, to: string, names: readonly string[] = [], own = false) {
  const [host = '', port] = to.split(':');
  const destination = {
    protocol: 'tcp',
    address: address(host),
    port: Number(port),
    names,
  } as const;
  return new Policy(options).check(destination, own).allowed;
}

describe('a rule', () => {
  it('is a name, names below one, an address, a range or anything, with ports and a protocol', () => {
    assert.deepEqual(parseRule('Example.ORG.').target, {
      kind: 'name',
      name: 'example.org',
      subdomains: false,
    });
    assert.deepEqual(parseRule('*.bücher.example:80,443').target, {
      kind: 'name',
      name: 'xn--bcher-kva.example',
      subdomains: true,
    });
    assert.deepEqual(parseRule('*.x.org:80,8000-8100').ports, [
      [80, 80],
      [8000, 8100],
    ]);
    assert.deepEqual(parseRule('10.0.0.0/8:53/udp'), {
      text: '10.0.0.0/8:53/udp',
      target: { kind: 'range', range: { address: 0x0a000000, prefix: 8 } },
      ports: [[53, 53]],
      protocol: 'udp',
    });
    assert.equal(parseRule('*').target.kind, 'any');
  });

  it('is refused where it cannot be meant', () => {
    const wrong = ['', ':80', 'a b', '10.0.0.1/8', '1.2.3', '01.2.3.4', '256.0.0.1', '10.0.0.0/33'];
    const ports = ['x:0', 'x:65536', 'x:9-1', 'x:', 'x:80,', 'x:http'];
    const names = ['*.*.x', 'a..b', '-a', 'http://x', '*x', '::1', '[::1]:80', 'x/icmp'];
    for (const text of [...wrong, ...ports, ...names]) {
      assert.throws(() => parseRule(text), { code: 'NET_BAD_RULE' }, text);
    }
  });
});

describe('a policy', () => {
  it('that is public opens the public Internet and nothing else, and by default nothing', () => {
    for (const open of ['1.1.1.1:443', '8.8.8.8:53', '192.0.1.1:1', '172.32.0.1:80']) {
      assert.equal(opens({ public: true }, open), true, open);
      assert.equal(opens({}, open), false, open);
    }
    const closed = '0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.0.1 169.254.169.254 172.16.0.1';
    const more = '172.31.255.255 192.168.1.1 192.0.2.1 198.18.0.1 224.0.0.1 255.255.255.255';
    for (const host of `${closed} ${more}`.split(' ')) {
      assert.equal(opens({ public: true }, `${host}:80`), false, host);
    }
  });

  it('opens only what rules allow once there are some', () => {
    const options = { allow: ['example.org:443', '9.9.9.0/24'] };
    assert.equal(opens(options, '1.2.3.4:443', ['example.org']), true);
    assert.equal(opens(options, '1.2.3.4:80', ['example.org']), false);
    assert.equal(opens(options, '1.2.3.4:443', ['example.com', 'www.example.org']), false);
    assert.equal(opens(options, '1.2.3.4:443'), false, 'an address that nothing led to');
    assert.equal(opens(options, '9.9.9.9:53'), true);
    assert.equal(opens({ ...options, public: true }, '1.2.3.4:80'), true);
  });

  it('takes *.name for names below it, at any depth', () => {
    const options = { allow: ['*.debian.org'] };
    assert.equal(opens(options, '1.2.3.4:80', ['deb.debian.org']), true);
    assert.equal(opens(options, '1.2.3.4:80', ['a.b.debian.org']), true);
    assert.equal(opens(options, '1.2.3.4:80', ['debian.org']), false);
    assert.equal(opens(options, '1.2.3.4:80', ['notdebian.org']), false);
  });

  it('keeps private addresses closed to names, to * and to ranges that are wider than they', () => {
    const to = '10.0.0.5:80';
    assert.equal(opens({ allow: ['*', '0.0.0.0/0', 'x.org'] }, to, ['x.org']), false);
    assert.equal(opens({ allow: ['8.0.0.0/5'] }, to), false);
    assert.equal(opens({ allow: ['10.0.0.0/8'] }, to), true);
    assert.equal(opens({ allow: ['10.0.0.5:80'] }, to), true);
    assert.equal(opens({ allow: ['10.0.0.5:443'] }, to), false);
  });

  it('keeps the host’s own addresses closed, public ones too, but to a rule for each', () => {
    const to = '5.6.7.8:22';
    assert.equal(opens({ public: true }, to, [], true), false);
    assert.equal(opens({ allow: ['*', '5.6.0.0/16'] }, to, [], true), false);
    assert.equal(opens({ allow: ['5.6.7.8'] }, to, [], true), true);
    assert.equal(opens({ allow: ['10.0.0.0/8'] }, '10.0.0.5:22', [], true), false);
    assert.equal(opens({ allow: ['10.0.0.5:22'] }, '10.0.0.5:22', [], true), true);
    assert.equal(opens({ allow: ['127.0.0.0/8'] }, '127.0.0.1:22', [], true), true);
  });

  it('denies before it allows', () => {
    const options = {
      public: true,
      allow: ['10.0.0.0/8'],
      deny: ['10.1.0.0/16', 'bad.org', '*:25'],
    };
    assert.equal(opens(options, '10.2.0.1:80'), true);
    assert.equal(opens(options, '10.1.0.1:80'), false);
    assert.equal(opens(options, '1.2.3.4:25', ['good.org']), false);
    assert.equal(opens(options, '1.2.3.4:80', ['good.org', 'bad.org']), false);
  });

  it('with denied names, opens public addresses only as answers to a lookup', () => {
    const options = { public: true, deny: ['bad.org'] };
    assert.equal(opens(options, '1.2.3.4:80'), false);
    assert.equal(opens(options, '1.2.3.4:80', ['good.org']), true);
    assert.equal(opens({ ...options, allow: ['1.2.3.4'] }, '1.2.3.4:80'), true);
  });

  it('judges names and answers', () => {
    const policy = new Policy({
      allow: ['x.org:443', '10.0.0.0/8'],
      deny: ['a.x.org', 'x.org:25'],
    });
    assert.equal(policy.checkName('x.org').allowed, true);
    assert.equal(policy.checkName('a.x.org').allowed, false);
    assert.equal(policy.checkName('y.org').allowed, false);
    assert.equal(policy.checkAnswer(address('1.2.3.4'), false), true);
    assert.equal(policy.checkAnswer(address('10.2.3.4'), false), true);
    assert.equal(policy.checkAnswer(address('192.168.0.1'), false), false);
    assert.equal(policy.checkAnswer(address('1.2.3.4'), true), false);
  });
});
