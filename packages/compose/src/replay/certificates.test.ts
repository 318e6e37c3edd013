import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch, without } from '../testing/debs.ts';
import { subjectHash, updateCertificates } from './certificates.ts';
import { Rootfs } from './rootfs.ts';

const noOpenssl = without('openssl', 'version');
const shared = '/usr/share/ca-certificates/mozilla';

test('hashes of subjects are those of openssl, for names in any string type', {
  skip: noOpenssl,
}, () => {
  using directory = scratch();
  const subjects = [
    '/C=DE/O=Simple Org/CN=plain.example',
    '/C=FR/O=  Blanks   and CASE  /OU=X+UID=y/CN=Ünïcödé Ŧest',
    '/CN=\\/slash and long '.padEnd(60, 'x'),
  ];
  for (const [index, subject] of subjects.entries()) {
    const pem = join(directory.path, `${index}.pem`);
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const extra = [
      '-utf8',
      '-multivalue-rdn',
      '-subj',
      subject,
      '-keyout',
      '/dev/null',
      '-out',
      pem,
    ];
    execFileSync('openssl', [...make, ...extra], { stdio: 'pipe' });
    const hash = execFileSync('openssl', ['x509', '-noout', '-hash', '-in', pem], {
      encoding: 'utf8',
    });
    assert.equal(subjectHash(readFileSync(pem, 'utf8')), hash.trim(), subject);
  }
});

test('the certificates of ca-certificates get the links that openssl rehash makes', {
  skip: noOpenssl || (existsSync(shared) ? false : `no ${shared}`),
}, async () => {
  const rootfs = Rootfs.empty(0);
  const files = readdirSync(shared).filter((name) => name.endsWith('.crt'));
  for (const name of files) rootfs.write(`${shared}/${name}`, readFileSync(join(shared, name)));
  await updateCertificates(rootfs);
  const bundle = (await rootfs.text('/etc/ssl/certs/ca-certificates.crt')) ?? '';
  assert.equal(bundle.match(/BEGIN CERTIFICATE/g)?.length, files.length);
  for (const name of files.slice(0, 20)) {
    const text = execFileSync('openssl', ['x509', '-noout', '-hash', '-in', join(shared, name)], {
      encoding: 'utf8',
    });
    assert.ok(rootfs.exists(`/etc/ssl/certs/${text.trim()}.0`), name);
  }
});

test('what is no certificate has no hash', () => {
  for (const text of ['', 'x', '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----']) {
    assert.equal(subjectHash(text), undefined);
  }
});
