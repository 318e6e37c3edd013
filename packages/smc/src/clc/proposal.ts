import { viewOf } from '@anole/bytes';
import { SmcError } from '../errors.ts';
import {
  ClcEid,
  ClcGidChid,
  ClcIpv6Prefix,
  ClcPrefix,
  ClcProposalBase,
  ClcSmcD,
  ClcSmcDV2Extension,
  ClcV2Extension,
  V2_EXTENSION_OFFSET_END,
} from '../layout/clc.ts';
import type { ClcFrame, WrittenBody } from './message.ts';
import type { ClcProposal, Offer, PrefixArea, SmcDArea, V2Extension } from './types.ts';

/** By the value of typev1 and typev2. */
const offers: readonly Offer[] = ['R', 'D', 'none', 'both'];
/** Source: smc_clc.h, SMC_MAX_UEID, SMC_CLC_MAX_V6_PREFIX, SMC_MAX_ISM_DEVS. */
const most = { eids: 8, ipv6: 8, devices: 8 } as const;
const SMC_D_AREA = ClcProposalBase.size;
/** Where `v2Offset` counts from, behind the header. */
const V2_OFFSET_END = SMC_D_AREA + ClcSmcD.offsets.v2Offset + 2;

export function parseProposal({
  eyecatcher,
  version,
  typeV1,
  typeV2,
  body,
}: ClcFrame): ClcProposal {
  const { prefixOffset, ...base } = ClcProposalBase.read(body);
  const offerV1 = offers[typeV1]!;
  // The area has a place of its own before the prefixes, or all of the space where there are none.
  const hasSmcD = version > 1 || prefixOffset >= ClcSmcD.size;
  const area = hasSmcD ? ClcSmcD.read(body, SMC_D_AREA) : undefined;
  const { v2Offset = 0, ...smcD } = area ?? {};
  return {
    kind: 'proposal',
    eyecatcher,
    version,
    offerV1,
    offerV2: version > 1 ? offers[typeV2]! : 'none',
    ...base,
    ...(area !== undefined && { smcD: smcD as SmcDArea }),
    ...(offerV1 !== 'none' && { prefix: parsePrefix(body, SMC_D_AREA + prefixOffset) }),
    ...(version > 1 && v2Offset > 0 && { v2: parseV2(body, V2_OFFSET_END + v2Offset) }),
  };
}

function parsePrefix(body: DataView, offset: number): PrefixArea {
  const { ipv6Count, ...ipv4 } = ClcPrefix.read(body, offset);
  const first = offset + ClcPrefix.size;
  return { ...ipv4, ipv6: listOf(ClcIpv6Prefix, body, first, ipv6Count, most.ipv6, 'prefixes') };
}

function parseV2(body: DataView, offset: number): V2Extension {
  const head = ClcV2Extension.read(body, offset);
  const { eidCount, gidCount, flags, smcDOffset, ...fields } = head;
  const first = offset + ClcV2Extension.size;
  const eids = listOf(ClcEid, body, first, eidCount, most.eids, 'EIDs').map(({ eid }) => eid);
  const smcD = offset + V2_EXTENSION_OFFSET_END + smcDOffset;
  return {
    eids,
    release: flags >>> 4,
    hasSystemEid: (flags & 1) === 1,
    ...fields,
    ...(smcDOffset > 0 && {
      smcD: {
        ...ClcSmcDV2Extension.read(body, smcD),
        devices: listOf(
          ClcGidChid,
          body,
          smcD + ClcSmcDV2Extension.size,
          gidCount,
          most.devices,
          'devices',
        ),
      },
    }),
  };
}

interface Reader<T> {
  readonly size: number;
  read(view: DataView, offset: number): T;
}

function listOf<T>(
  kind: Reader<T>,
  body: DataView,
  offset: number,
  count: number,
  limit: number,
  what: string,
): T[] {
  if (count > limit) {
    throw new SmcError('SMC_BAD_CLC', `Cannot read a proposal: ${count} ${what}, ${limit} at most`);
  }
  return Array.from({ length: count }, (_, index) => kind.read(body, offset + index * kind.size));
}

/** Areas in the order in which Linux sends them. */
export function writeProposal(message: ClcProposal): WrittenBody {
  const { version, offerV1, offerV2, smcD, prefix, v2 } = message;
  const smcDBytes = smcD === undefined && version < 2 ? 0 : ClcSmcD.size;
  const prefixAt = SMC_D_AREA + smcDBytes;
  const prefixBytes =
    prefix === undefined ? 0 : ClcPrefix.size + prefix.ipv6.length * ClcIpv6Prefix.size;
  const v2At = prefixAt + prefixBytes;
  const body = new Uint8Array(v2At + (v2 === undefined ? 0 : v2Bytes(v2)));
  const view = viewOf(body);
  const prefixOffset = prefix === undefined ? 0 : smcDBytes;
  ClcProposalBase.write(view, 0, { ...message, prefixOffset });
  if (smcDBytes > 0) {
    const none = {
      gid: 0n,
      chid: 0,
      vendorOui: new Uint8Array(3),
      vendorOptions: new Uint8Array(5),
    };
    const v2Offset = v2 === undefined ? 0 : v2At - V2_OFFSET_END;
    ClcSmcD.write(view, SMC_D_AREA, { ...(smcD ?? none), v2Offset });
  }
  if (prefix !== undefined) writePrefix(view, prefixAt, prefix);
  if (v2 !== undefined) writeV2(view, v2At, v2);
  const types = (offers.indexOf(offerV2) << 2) | offers.indexOf(offerV1);
  return { version: (version << 4) | (version > 1 ? types : types & 3), body };
}

function writePrefix(view: DataView, offset: number, { ipv6, ...ipv4 }: PrefixArea): void {
  ClcPrefix.write(view, offset, { ...ipv4, ipv6Count: ipv6.length });
  for (const [index, each] of ipv6.entries()) {
    ClcIpv6Prefix.write(view, offset + ClcPrefix.size + index * ClcIpv6Prefix.size, each);
  }
}

function v2Bytes({ eids, smcD }: V2Extension): number {
  const own = ClcV2Extension.size + eids.length * ClcEid.size;
  if (smcD === undefined) return own;
  return own + ClcSmcDV2Extension.size + smcD.devices.length * ClcGidChid.size;
}

function writeV2(view: DataView, offset: number, v2: V2Extension): void {
  const { eids, release, hasSystemEid, smcD } = v2;
  const smcDAt = offset + ClcV2Extension.size + eids.length * ClcEid.size;
  ClcV2Extension.write(view, offset, {
    ...v2,
    eidCount: eids.length,
    gidCount: smcD?.devices.length ?? 0,
    flags: (release << 4) | (hasSystemEid ? 1 : 0),
    smcDOffset: smcD === undefined ? 0 : smcDAt - offset - V2_EXTENSION_OFFSET_END,
  });
  for (const [index, eid] of eids.entries()) {
    ClcEid.write(view, offset + ClcV2Extension.size + index * ClcEid.size, { eid });
  }
  if (smcD === undefined) return;
  ClcSmcDV2Extension.write(view, smcDAt, smcD);
  for (const [index, device] of smcD.devices.entries()) {
    ClcGidChid.write(view, smcDAt + ClcSmcDV2Extension.size + index * ClcGidChid.size, device);
  }
}
