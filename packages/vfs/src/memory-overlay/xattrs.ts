import { type Flow, wait } from '@anole/bytes';
import { VfsError } from '../errors.ts';
import { ENTRY_COST } from './budget.ts';
import { type OverlayNode, ownAttributes } from './node.ts';

export const none: ReadonlyMap<string, Uint8Array> = new Map();

/** XATTR_NAME_MAX and XATTR_SIZE_MAX of linux/limits.h. */
const MAX_NAME = 255;
const MAX_SIZE = 65536;

export function* set(
  node: OverlayNode,
  name: string,
  value: Uint8Array,
  mode?: 'create' | 'replace',
): Flow<void> {
  if (name === '' || name.length > MAX_NAME || value.length > MAX_SIZE) {
    throw new VfsError('VFS_INVALID', `Cannot set an attribute of ${value.length} bytes`);
  }
  const all = yield* wait(ownAttributes(node));
  const old = all.get(name);
  if (mode === 'create' && old !== undefined) {
    throw new VfsError('VFS_EXISTS', `Cannot create the attribute ${name}: it is there already`);
  }
  if (mode === 'replace' && old === undefined) throw missing(name);
  adopt(node, all);
  node.tree.budget.take(attributeCost(name, value) - (old ? attributeCost(name, old) : 0));
  all.set(name, value.slice());
  node.restat({});
}

export function* remove(node: OverlayNode, name: string): Flow<void> {
  const all = yield* wait(ownAttributes(node));
  const old = all.get(name);
  if (old === undefined) throw missing(name);
  adopt(node, all);
  node.tree.budget.take(-attributeCost(name, old));
  all.delete(name);
  node.restat({});
}

/** From here on `all` are the node's attributes, the lower node's no more. */
function adopt(node: OverlayNode, all: Map<string, Uint8Array>): void {
  if (node.attributes !== undefined) return;
  node.own();
  let cost = 0;
  for (const [name, value] of all) cost += attributeCost(name, value);
  node.tree.budget.take(cost);
  node.attributes = all;
}

function attributeCost(name: string, value: Uint8Array): number {
  return ENTRY_COST + name.length + value.length;
}

function missing(name: string): VfsError {
  return new VfsError('VFS_NO_XATTR', `Cannot find the attribute ${name}`);
}
