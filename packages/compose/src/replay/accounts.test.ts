import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Accounts } from './accounts.ts';
import { Rootfs } from './rootfs.ts';
import { applySysusers } from './sysusers.ts';

const master = '/usr/share/base-passwd';

async function accounts() {
  const rootfs = Rootfs.empty(86_400 * 20_000);
  rootfs.write(
    `${master}/passwd.master`,
    'root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  );
  rootfs.write(
    `${master}/group.master`,
    'root:*:0:\nshadow:*:42:\nusers:*:100:\nnogroup:*:65534:\n',
  );
  return { rootfs, accounts: await Accounts.read(rootfs) };
}

test('master users get shadow entries that let nobody in, dated by the image', async () => {
  const { rootfs, accounts: all } = await accounts();
  all.write(rootfs);
  assert.match((await rootfs.text('/etc/passwd')) ?? '', /^root:x:0:0:root:\/root:\/bin\/bash\n/);
  assert.match((await rootfs.text('/etc/shadow')) ?? '', /^root:\*:20000:0:99999:7:::\n/);
  assert.match((await rootfs.text('/etc/group')) ?? '', /^users:x:100:$/m);
  assert.equal(rootfs.at('/etc/shadow')?.stat.mode, 0o640);
  assert.equal(rootfs.at('/etc/shadow')?.stat.gid, 42);
});

test('new ids are the lowest that are free, a user and its group share one', async () => {
  const { accounts: all } = await accounts();
  assert.equal(all.addGroup('first', 'system').gid, 101);
  assert.equal(all.addGroup('first', 'system').gid, 101);
  const user = all.addUser({ name: 'dev' }, 'ordinary');
  assert.deepEqual([user.uid, user.gid, all.group('dev')?.gid], [1000, 1000, 1000]);
  const system = all.addUser({ name: 'daemon-x', group: 'nogroup' }, 'system');
  assert.deepEqual([system.uid, system.gid], [100, 65_534]);
});

test('sysusers.d lines make users, groups and members', async () => {
  const { rootfs, accounts: all } = await accounts();
  applySysusers(
    all,
    `# comment
u web 33 "Web server" /var/www /bin/sh
u mail-x - "Mail"
g extra 300
m web extra
`,
  );
  all.write(rootfs);
  const passwd = (await rootfs.text('/etc/passwd')) ?? '';
  assert.match(passwd, /^web:x:33:33:Web server:\/var\/www:\/bin\/sh$/m);
  assert.match(passwd, /^mail-x:x:101:101:Mail:\/:\/usr\/sbin\/nologin$/m);
  assert.match((await rootfs.text('/etc/group')) ?? '', /^extra:x:300:web$/m);
});
