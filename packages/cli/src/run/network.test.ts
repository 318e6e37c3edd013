import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { networkOf } from './network.ts';

describe('the flags for a network', () => {
  const context = { json: false, err: () => {} };

  it('make none unless asked', () => {
    assert.equal(networkOf({}, context), undefined);
    assert.throws(() => networkOf({ deny: ['x.org'] }, context), { code: 'CLI_USAGE' });
    assert.throws(() => networkOf({ netLog: true }, context), { code: 'CLI_USAGE' });
  });

  it('open the public Internet only with --net', () => {
    assert.deepEqual(networkOf({ net: true }, context), { public: true });
    assert.deepEqual(networkOf({ allow: ['x.org'] }, context), { public: false, allow: ['x.org'] });
    assert.deepEqual(networkOf({ publish: ['80'] }, context), { public: false, publish: ['80'] });
  });

  it('tell what happens, for people or for programs', () => {
    const lines: string[] = [];
    const connection = {
      type: 'connection',
      protocol: 'tcp',
      address: '1.2.3.4',
      port: 80,
      names: ['x.org'],
      allowed: false,
      reason: 'no rule allows it',
    } as const;
    for (const json of [false, true]) {
      const log = { json, err: (line: string) => void lines.push(line) };
      networkOf({ net: true, netLog: true }, log)?.onEvent?.(connection);
    }
    assert.deepEqual(lines, [
      'anole: net: tcp 1.2.3.4:80 (x.org): closed: no rule allows it',
      JSON.stringify({ network: connection }),
    ]);
  });
});
