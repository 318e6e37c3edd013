import { bool, embedded, labels, message, string } from '../protobuf/message.ts';
import { Empty } from './types.ts';

// containerd's `api/services/leases/v1/leases.proto`.

const at = (method: string) => `/containerd.services.leases.v1.Leases/${method}`;

/** Methods of the service `containerd.services.leases.v1.Leases`. */
export const Leases = {
  create: {
    path: at('Create'),
    request: message({ id: string(1), labels: labels(3) }),
    answer: message({ lease: embedded(1, message({ id: string(1) })) }),
  },
  delete: {
    path: at('Delete'),
    request: message({ id: string(1), sync: bool(2) }),
    answer: Empty,
  },
} as const;
