import { embedded, labels, message, string, timestamp } from '../protobuf/message.ts';
import { DescriptorMessage, FieldMask } from './types.ts';

// containerd's `api/services/images/v1/images.proto`.

const Image = message({
  name: string(1),
  labels: labels(2),
  target: embedded(3, DescriptorMessage),
  createdAt: timestamp(7),
  updatedAt: timestamp(8),
});
const ImageAnswer = message({ image: embedded(1, Image) });

const at = (method: string) => `/containerd.services.images.v1.Images/${method}`;

/** Methods of the service `containerd.services.images.v1.Images`. */
export const Images = {
  create: {
    path: at('Create'),
    request: message({ image: embedded(1, Image) }),
    answer: ImageAnswer,
  },
  update: {
    path: at('Update'),
    request: message({ image: embedded(1, Image), updateMask: embedded(2, FieldMask) }),
    answer: ImageAnswer,
  },
} as const;
