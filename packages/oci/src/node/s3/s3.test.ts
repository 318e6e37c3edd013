import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporary } from '../../testing/tools.ts';
import { NodeTransport } from '../http.ts';
import { findBucket } from './bucket.ts';
import { findS3Keys } from './keys.ts';
import { signS3 } from './sign.ts';
import { S3Transport } from './transport.ts';

/** Of the examples in the Amazon S3 API Reference, "Signature Calculations for the Authorization Header". */
const keys = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const at = Date.UTC(2013, 4, 24);
const signatureOf = (path: string, headers: Record<string, string> = {}) => {
  const url = new URL(path, 'https://examplebucket.s3.amazonaws.com/');
  const { authorization = '' } = signS3({ method: 'GET', url, headers }, keys, 'us-east-1', at);
  return authorization.split('Signature=')[1];
};

const hasBotocore = spawnSync('/usr/bin/python3', ['-c', 'import botocore']).status === 0;

/** Signs as AWS's own library does: method, URL and headers, at the time of the examples. */
const botocore = `
import datetime, json, sys
import botocore.auth, botocore.compat
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
moment = datetime.datetime(2013, 5, 24)
class Fixed(datetime.datetime):
    @classmethod
    def utcnow(cls): return moment
    @classmethod
    def now(cls, tz=None): return moment.replace(tzinfo=tz)
class Module:
    datetime = Fixed
botocore.auth.datetime = Module
if hasattr(botocore.auth, 'get_current_datetime'):
    botocore.auth.get_current_datetime = lambda *a, **k: moment
out = []
for url, headers, token in json.load(sys.stdin):
    request = AWSRequest(method='GET', url=url, headers=headers)
    keys = Credentials('AKIAIOSFODNN7EXAMPLE', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', token)
    botocore.auth.S3SigV4Auth(keys, 's3', 'eu-central-1').add_auth(request)
    out.append(request.headers['Authorization'].split('Signature=')[1])
print(json.dumps(out))
`;

describe('signatures for S3', () => {
  it("are those of AWS's examples", () => {
    assert.equal(
      signatureOf('test.txt', { range: 'bytes=0-9' }),
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    );
    assert.equal(
      signatureOf('?lifecycle'),
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    );
    assert.equal(
      signatureOf('?max-keys=2&prefix=J'),
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
  });

  const skip = hasBotocore ? false : 'python3-botocore is not installed';
  it("are those of AWS's library, whatever the names", { skip }, () => {
    const cases = [
      ['https://bucket.example/a/blobs/sha256/0f', { range: 'bytes=5-' }, undefined],
      ['http://localhost:9000/bucket/pre fix/%C3%A4/a%2Bb', {}, 'token=='],
      ['https://bucket.example/a~b%21c%28d%29%2Ae%24f', { range: 'bytes=0-99' }, undefined],
      ['https://bucket.example/?list-type=2&prefix=a%2Fb%20c&delimiter=%2F', {}, 'token'],
    ] as const;
    const asked = cases.map(([url, headers, token]) => [new URL(url).href, headers, token]);
    const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-c', botocore], {
      input: JSON.stringify(asked),
      encoding: 'utf8',
    });
    const wanted = JSON.parse(stdout || assert.fail(stderr)) as string[];
    for (const [index, [url, headers, token]] of cases.entries()) {
      const who = { ...keys, ...(token && { token }) };
      const request = { method: 'GET', url: new URL(url), headers };
      const { authorization = '' } = signS3(request, who, 'eu-central-1', at);
      assert.equal(authorization.split('Signature=')[1], wanted[index], url);
    }
  });
});

describe('buckets', () => {
  it('are where AWS has them, or where the environment says', () => {
    const base = (bucket: string, prefix: string, environment = {}) =>
      findBucket({ bucket, prefix }, environment).base.href;
    assert.equal(base('web', ''), 'https://web.s3.us-east-1.amazonaws.com/');
    assert.equal(
      base('we.b', 'a/b c', { AWS_REGION: 'eu-west-3' }),
      'https://s3.eu-west-3.amazonaws.com/we.b/a/b%20c/',
    );
    const own = { AWS_ENDPOINT_URL: 'http://localhost:9000/s3' };
    assert.equal(base('web', 'a', own), 'http://localhost:9000/s3/web/a/');
    assert.throws(() => base('Web/..', ''), { code: 'OCI_BAD_REFERENCE' });
    assert.throws(() => base('web', '', { AWS_ENDPOINT_URL: 'file:///x' }), {
      code: 'OCI_BAD_CONFIGURATION',
    });
  });

  it('are read with keys that are looked up again when they have expired', async (test) => {
    const file = join(temporary(test), 'credentials');
    const write = (key: string) =>
      writeFileSync(
        file,
        `[default]\naws_access_key_id = other\n[team]\naws_access_key_id = ${key}\naws_secret_access_key = s\naws_session_token=t\n`,
      );
    write('FIRST');
    let valid = 'FIRST';
    const asked: string[] = [];
    const server = createServer((request, answer) => {
      const [key = ''] = /Credential=[^/]+/.exec(request.headers.authorization ?? '') ?? [];
      asked.push(key.slice('Credential='.length));
      const isValid = asked.at(-1) === valid && request.headers['x-amz-security-token'] === 't';
      answer.writeHead(isValid ? 200 : 400).end('<Code>ExpiredToken</Code>');
    });
    await new Promise<void>((done) => {
      server.listen(0, '127.0.0.1', done);
    });
    test.after(() => server.close().closeAllConnections());
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket/key`);
    using inner = new NodeTransport();
    const environment = { AWS_PROFILE: 'team', AWS_SHARED_CREDENTIALS_FILE: file };
    const transport = new S3Transport({
      transport: inner,
      origin: url.origin,
      region: 'us-east-1',
      keys: () => findS3Keys(environment),
    });
    const get = async () => {
      const answer = await transport.send({ method: 'GET', url, headers: {} });
      answer.close();
      return answer.status;
    };
    assert.equal(await get(), 200);
    write('SECOND');
    valid = 'SECOND';
    assert.equal(await get(), 200);
    valid = 'THIRD';
    assert.equal(await get(), 400, 'nobody has renewed them');
    assert.deepEqual(asked, ['FIRST', 'FIRST', 'SECOND', 'SECOND']);
    assert.equal(await findS3Keys({ HOME: '/nowhere' }), undefined);
  });
});
