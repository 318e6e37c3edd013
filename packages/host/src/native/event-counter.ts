import { check, native } from './koffi.ts';

const eventfd = native('int eventfd(unsigned int initial, int flags)');

const CLOEXEC = 0o2000000;
const NONBLOCK = 0o4000;

/**
 * A descriptor whose 8 bytes count (eventfd(2)): writing adds to it, reading takes all. It does not
 * block (`EAGAIN` where there is nothing to take). The caller owns it.
 */
export function eventCounter(initial = 0): number {
  return check(eventfd(initial, CLOEXEC | NONBLOCK), 'make an event counter');
}
