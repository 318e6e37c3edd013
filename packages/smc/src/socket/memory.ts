import { hasNative } from '@anole/host/native';
import { isGuarded } from '@anole/host/threads';

/** Why this thread cannot share memory with anybody; asked at its first connection, since it loads the add-on. */
export function whyNoMemory(): 'thread' | 'noNative' | undefined {
  if (!isGuarded) return 'thread';
  return hasNative() ? undefined : 'noNative';
}
