import type { CdcMessage, ClcMessage, LlcMessage } from '@anole/smc';
import fc from 'fast-check';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u24 = fc.nat(0xffffff);
const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
const half = fc.nat(15);
const eid = fc.stringMatching(/^[A-Z0-9.-]{1,32}$/);
const path = fc.constantFrom('R' as const, 'D' as const);
const offer = fc.constantFrom('R' as const, 'D' as const, 'both' as const, 'none' as const);
const gidChid = fc.record({ gid: u64, chid: u16 });

const v2 = fc.record(
  {
    eids: fc.array(eid, { maxLength: 8 }),
    release: fc.nat(1),
    hasSystemEid: fc.boolean(),
    roceGid: bytes(16),
    maxConnections: u8,
    maxLinks: u8,
    featureMask: u16,
    smcD: fc.record({ systemEid: eid, devices: fc.array(gidChid, { maxLength: 8 }) }),
  },
  {
    requiredKeys: [
      'eids',
      'release',
      'hasSystemEid',
      'roceGid',
      'maxConnections',
      'maxLinks',
      'featureMask',
    ],
  },
);

const prefix = fc.record({
  ipv4Mask: bytes(4),
  ipv4Length: u8,
  ipv6: fc.array(fc.record({ prefix: bytes(16), length: u8 }), { maxLength: 8 }),
});

const proposal = fc
  .record({
    eyecatcher: path,
    version: fc.constantFrom(1, 2),
    offerV1: offer,
    offerV2: offer,
    peerId: bytes(8),
    gid: bytes(16),
    mac: bytes(6),
    smcD: fc.record({ gid: u64, chid: u16, vendorOui: bytes(3), vendorOptions: bytes(5) }),
    prefix,
    v2,
  })
  .map(({ version, offerV1, offerV2, smcD, prefix, v2, ...rest }) => ({
    kind: 'proposal' as const,
    ...rest,
    version,
    offerV1,
    offerV2: version > 1 ? offerV2 : ('none' as const),
    // Version 1 has the area where SMC-D is offered; without prefixes nothing tells it is there.
    ...((version > 1 || (offerV1 !== 'R' && offerV1 !== 'none')) && { smcD }),
    ...(offerV1 !== 'none' && { prefix }),
    ...(version > 1 && { v2 }),
  }));

const common = {
  kind: fc.constantFrom('accept' as const, 'confirm' as const),
  version: fc.constantFrom(1, 2),
  isFirstContact: fc.boolean(),
  elementIndex: u8,
  sizeExponent: half,
};

const contact = fc.record({
  isDirect: fc.boolean(),
  osType: half,
  hostName: eid,
  v21: fc.option(
    fc.record({
      maxConnections: u8,
      maxLinks: u8,
      featureMask: u16,
      vendorOptions: bytes(4),
    }),
  ),
  gids: fc.option(fc.array(bytes(16), { maxLength: 5 })),
});

const accept = fc
  .tuple(
    fc.record({
      ...common,
      peerId: bytes(8),
      gid: bytes(16),
      mac: bytes(6),
      queuePair: u24,
      rkey: u32,
      alertToken: u32,
      mtu: half,
      address: u64,
      firstSequence: u24,
      eid,
    }),
    fc.record({ ...common, gid: u64, token: u64, linkId: u32, chid: u16, gidExtension: u64, eid }),
    path,
    fc.option(contact),
  )
  .map(([r, d, path, contact]): ClcMessage => {
    const { eid, ...restR } = r;
    const { eid: _, chid, gidExtension, ...restD } = d;
    const { kind, version } = path === 'R' ? r : d;
    const v21 = contact?.v21 ?? undefined;
    const gids = path === 'R' && kind === 'confirm' ? (contact?.gids ?? undefined) : undefined;
    const firstContact = contact !== null && {
      firstContact: {
        isDirect: contact.isDirect,
        osType: contact.osType,
        release: v21 === undefined ? 0 : 1,
        hostName: contact.hostName,
        ...(v21 && { v21 }),
        ...(gids && { gids }),
      },
    };
    if (path === 'R') return { path, ...restR, ...(version > 1 && { eid, ...firstContact }) };
    return { path, ...restD, ...(version > 1 && { eid, chid, gidExtension, ...firstContact }) };
  });

const decline = fc
  .record({
    eyecatcher: path,
    version: fc.constantFrom(1, 2),
    isOutOfSync: fc.boolean(),
    peerId: bytes(8),
    diagnosis: u32,
    osType: half,
    more: bytes(16),
  })
  .map(({ version, more, ...rest }) => ({
    kind: 'decline' as const,
    version,
    ...rest,
    ...(version > 1 && { more }),
  }));

export const clcMessages: fc.Arbitrary<ClcMessage> = fc.oneof(proposal, accept, decline);

const newKey = fc.record({ rkey: u32, newRkey: u32, newAddress: u64 });
const linkKey = fc.record({ link: u8, rkey: u32, address: u64 });
const three = fc.array(linkKey, { minLength: 3, maxLength: 3 });
const kind = <K extends string>(name: K) => ({ kind: fc.constant(name) });
const place = { mac: bytes(6), gid: bytes(16), queuePair: u24, linkNumber: u8 };

const llcBodies = fc.oneof(
  fc.record({
    ...kind('confirm-link'),
    ...place,
    linkUid: u32,
    maxLinks: u8,
    maxConnections: u8,
  }),
  fc.record(
    {
      ...kind('add-link'),
      ...place,
      mtu: half,
      firstSequence: u24,
      v2: fc.record({
        isDirect: fc.boolean(),
        clientGid: bytes(16),
        keys: fc.array(newKey, { maxLength: 20 }),
      }),
    },
    { requiredKeys: ['kind', 'mac', 'gid', 'queuePair', 'linkNumber', 'mtu', 'firstSequence'] },
  ),
  fc.record({
    ...kind('add-link-continue'),
    linkNumber: u8,
    keysLeft: u8,
    keys: fc.array(newKey, { minLength: 2, maxLength: 2 }),
  }),
  fc.record({ ...kind('delete-link'), linkNumber: u8, reason: u32 }),
  fc.record({ ...kind('request-add-link'), gids: fc.array(bytes(16), { maxLength: 20 }) }),
  fc.record({ ...kind('confirm-rkey'), keys: three }),
  fc.record({ ...kind('confirm-rkey-continue'), keys: three }),
  fc.record({ ...kind('test-link'), userData: bytes(16) }),
  fc.record({ ...kind('delete-rkey'), unknown: u8, rkeys: fc.array(u32, { maxLength: 8 }) }),
);

export const llcMessages: fc.Arbitrary<LlcMessage> = fc
  .tuple(
    fc.record({ version: fc.constantFrom(1, 2), isResponse: fc.boolean(), flags: fc.nat(0x7f) }),
    llcBodies,
  )
  .map(([head, body]) => {
    // What only version 2 has.
    const isV2 = 'v2' in body || (body.kind === 'request-add-link' && body.gids.length > 0);
    const isResponse = 'v2' in body ? false : head.isResponse;
    return { ...head, isResponse, version: isV2 ? 2 : head.version, ...body } as LlcMessage;
  });

const cursor = fc.record({ wrap: u16, count: u32 });

export const cdcMessages: fc.Arbitrary<CdcMessage> = fc.record({
  kind: fc.constant('cdc' as const),
  sequence: u16,
  token: u32,
  producer: cursor,
  consumer: cursor,
  producerFlags: fc.subarray([
    'writeBlocked' as const,
    'urgentPending' as const,
    'urgentPresent' as const,
    'cursorUpdateRequested' as const,
    'failoverValidation' as const,
  ]),
  connectionFlags: fc.subarray(['doneWriting' as const, 'closed' as const, 'abort' as const]),
});
