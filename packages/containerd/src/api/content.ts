import { bytes, embedded, int, labels, message, string, timestamp } from '../protobuf/message.ts';
import { FieldMask } from './types.ts';

// containerd's `api/services/content/v1/content.proto`.

/** Values of `WriteAction`. */
export const WriteAction = { stat: 0, write: 1, commit: 2 } as const;

const Info = message({
  digest: string(1),
  size: int(2),
  createdAt: timestamp(3),
  updatedAt: timestamp(4),
  labels: labels(5),
});

const at = (method: string) => `/containerd.services.content.v1.Content/${method}`;

/** Methods of the service `containerd.services.content.v1.Content`. */
export const Content = {
  write: {
    path: at('Write'),
    request: message({
      action: int(1),
      ref: string(2),
      total: int(3),
      expected: string(4),
      offset: int(5),
      data: bytes(6),
      labels: labels(7),
    }),
    answer: message({ action: int(1), offset: int(4), total: int(5), digest: string(6) }),
  },
  update: {
    path: at('Update'),
    request: message({ info: embedded(1, Info), updateMask: embedded(2, FieldMask) }),
    answer: message({ info: embedded(1, Info) }),
  },
} as const;
