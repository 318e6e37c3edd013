import { unixPair } from '@anole/host/native';
import { Connection } from '../src/shm/connection.ts';
import { slotWord } from '../src/shm/layout.ts';
import { Link } from '../src/shm/link.ts';
import { LinkMemory } from '../src/shm/memory.ts';
import { internals } from '../src/socket/internals.ts';

/** Both sides of a link in this thread, with one connection. */
export interface Pair extends Disposable {
  readonly client: Link;
  readonly server: Link;
  readonly near: Connection;
  readonly far: Connection;
  /** Word `name` of the client's slot, where a hostile client would write. */
  readonly at: (name: number) => number;
}

export function linkPair(): Pair {
  const { pipe } = internals();
  const [a, b] = unixPair().map((fd) => {
    const handle = new pipe.Pipe(pipe.constants.SOCKET);
    handle.open(fd);
    return handle;
  });
  const [mine, theirs] = [LinkMemory.create(), LinkMemory.create()];
  const peer = { pid: process.pid, thread: 0, endpoint: 'test' };
  const client = new Link('client', mine, LinkMemory.of(theirs.fd), peer, a!);
  const server = new Link('server', theirs, LinkMemory.of(mine.fd), peer, b!);
  const near = Connection.claim(client, 7000)!;
  near.publishClaim([0, 0, 0, 1], [0, 0, 0, 1], 1);
  const far = Connection.accept(server, near.slot, server.peerState(near.slot))!;
  near.refresh();
  return {
    client,
    server,
    near,
    far,
    at: (name) => slotWord(near.slot) + name,
    [Symbol.dispose]() {
      near.close(false);
      far.close(false);
      client.close();
      server.close();
    },
  };
}
