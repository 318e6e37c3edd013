import { embedded, message, messages } from '../protobuf/message.ts';
import { DescriptorMessage, MountMessage } from './types.ts';

// containerd's `api/services/diff/v1/diff.proto`.

/** Methods of the service `containerd.services.diff.v1.Diff`. */
export const Diff = {
  apply: {
    path: '/containerd.services.diff.v1.Diff/Apply',
    request: message({ diff: embedded(1, DescriptorMessage), mounts: messages(2, MountMessage) }),
    answer: message({ applied: embedded(1, DescriptorMessage) }),
  },
} as const;
