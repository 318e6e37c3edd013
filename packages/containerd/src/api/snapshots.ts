import {
  embedded,
  int,
  labels,
  type MessageOf,
  message,
  messages,
  string,
  strings,
  timestamp,
} from '../protobuf/message.ts';
import { Empty, FieldMask, MountMessage } from './types.ts';

// containerd's `api/services/snapshots/v1/snapshots.proto`, the same from 1.0 to 2.x.

/** Values of `Kind`. */
export const Kind = { view: 1, active: 2, committed: 3 } as const;

const Info = message({
  name: string(1),
  parent: string(2),
  kind: int(3),
  createdAt: timestamp(4),
  updatedAt: timestamp(5),
  labels: labels(6),
});
export type Info = MessageOf<typeof Info>;

const PrepareRequest = message({
  snapshotter: string(1),
  key: string(2),
  parent: string(3),
  labels: labels(4),
});
const MountsAnswer = message({ mounts: messages(1, MountMessage) });
const KeyRequest = message({ snapshotter: string(1), key: string(2) });
const InfoAnswer = message({ info: embedded(1, Info) });

const at = (method: string) => `/containerd.services.snapshots.v1.Snapshots/${method}`;

/** The service `containerd.services.snapshots.v1.Snapshots`. */
export const Snapshots = {
  prepare: { path: at('Prepare'), request: PrepareRequest, answer: MountsAnswer },
  view: { path: at('View'), request: PrepareRequest, answer: MountsAnswer },
  mounts: { path: at('Mounts'), request: KeyRequest, answer: MountsAnswer },
  commit: {
    path: at('Commit'),
    request: message({
      snapshotter: string(1),
      name: string(2),
      key: string(3),
      labels: labels(4),
    }),
    answer: Empty,
  },
  remove: { path: at('Remove'), request: KeyRequest, answer: Empty },
  stat: { path: at('Stat'), request: KeyRequest, answer: InfoAnswer },
  update: {
    path: at('Update'),
    request: message({
      snapshotter: string(1),
      info: embedded(2, Info),
      updateMask: embedded(3, FieldMask),
    }),
    answer: InfoAnswer,
  },
  list: {
    path: at('List'),
    request: message({ snapshotter: string(1), filters: strings(2) }),
    answer: message({ info: messages(1, Info) }),
  },
  usage: {
    path: at('Usage'),
    request: KeyRequest,
    answer: message({ size: int(1), inodes: int(2) }),
  },
  cleanup: { path: at('Cleanup'), request: message({ snapshotter: string(1) }), answer: Empty },
} as const;
