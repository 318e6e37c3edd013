import { type Info, Kind, Snapshots } from '../api/snapshots.ts';
import { ContainerdError } from '../errors.ts';
import type { RemoteMethod } from '../grpc/client.ts';
import type { Call, Method, Methods } from '../grpc/server.ts';
import type { Snapshot } from './snapshot.ts';
import type { Snapshotter } from './snapshotter.ts';

/** Snapshots in one message of a list. */
const PAGE = 100;

/** The methods by which containerd uses a snapshotter. */
export function snapshotsService(snapshotter: Snapshotter): Methods {
  const infoOf = (snapshot: Snapshot): Info => ({
    name: snapshot.name,
    parent: snapshotter.parentName(snapshot),
    kind: Kind[snapshot.kind],
    createdAt: snapshot.created,
    updatedAt: snapshot.updated,
    labels: snapshot.labels,
  });
  return Object.fromEntries([
    method(Snapshots.prepare, async (wanted, call) => ({
      mounts: await snapshotter.prepare(wanted, call),
    })),
    method(Snapshots.view, async (wanted, call) => ({
      mounts: await snapshotter.view(wanted, call),
    })),
    method(Snapshots.mounts, async ({ key }) => ({ mounts: await snapshotter.mounts(key) })),
    method(Snapshots.commit, async ({ name, key, labels }) => {
      await snapshotter.commit(name, key, labels);
      return {};
    }),
    method(Snapshots.remove, async ({ key }) => {
      await snapshotter.remove(key);
      return {};
    }),
    method(Snapshots.stat, async ({ key }) => ({ info: infoOf(snapshotter.stat(key)) })),
    method(Snapshots.update, async ({ info, updateMask }) => {
      if (info?.name === undefined) {
        throw new ContainerdError(
          'CONTAINERD_BAD_REQUEST',
          'Cannot change a snapshot without a name',
        );
      }
      const { name, labels = {} } = info;
      return { info: infoOf(await snapshotter.update(name, labels, updateMask?.paths ?? [])) };
    }),
    method(Snapshots.list, async function* ({ filters }) {
      const all = snapshotter.list(filters);
      for (let at = 0; at < all.length; at += PAGE) {
        yield { info: all.slice(at, at + PAGE).map(infoOf) };
      }
    }),
    method(Snapshots.usage, ({ key }) => snapshotter.usage(key)),
    method(Snapshots.cleanup, async () => {
      await snapshotter.cleanup();
      return {};
    }),
  ]);
}

function method<Q, A>(
  { path, request, answer }: RemoteMethod<Q, A>,
  serve: (request: Q, call: Call) => Promise<Partial<A>> | AsyncIterable<Partial<A>>,
): readonly [string, Method<never, never>] {
  return [path, { request, answer, serve } as unknown as Method<never, never>];
}
