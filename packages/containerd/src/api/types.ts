import { int, labels, type MessageOf, message, string, strings } from '../protobuf/message.ts';

/** `google.protobuf.Empty` */
export const Empty = message({});

/** `google.protobuf.FieldMask` */
export const FieldMask = message({ paths: strings(1) });

/** containerd's `api/types/mount.proto` */
export const MountMessage = message({
  type: string(1),
  source: string(2),
  target: string(3),
  options: strings(4),
});

/** containerd's `api/types/descriptor.proto` */
export const DescriptorMessage = message({
  mediaType: string(1),
  digest: string(2),
  size: int(3),
  annotations: labels(5),
});

/** A mount as mount(8) has it; `target` is below that of the container. */
export type Mount = MessageOf<typeof MountMessage>;
