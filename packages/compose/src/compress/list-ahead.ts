import type { Awaitable } from '@anole/bytes';
import { FileListing, HostNode, type Listing } from '@anole/host';
import type { DirectoryEntry, TreeNode } from '@anole/vfs';
import type { SourceCrew } from './source-job.ts';

/** Entries after which a tree is worth starting threads for that have more to do later. */
const FOR_THREADS = 2000;
/** Directories that make a job, jobs under way, and directories that may wait to be asked for. */
const JOB_DIRECTORIES = 8;
const MOST_JOBS = 6;
const MOST_AHEAD = 128;

/** A directory that is to be listed, or what comes of it. */
type State = 'wanted' | Promise<Listing | undefined>;

/**
 * Lists directories in threads before they are asked for: those in a directory once that was asked for, the
 * last one first, as who walks a tree from its root comes to them. What no thread has begun is listed at
 * once.
 */
export class ListAhead {
  readonly #crew: () => SourceCrew;
  readonly #worth: number;
  readonly #states = new Map<HostNode, State>();
  /** The next one last. Those that have been asked for since have no state any more. */
  #wanted: HostNode[] = [];
  #entries = 0;
  #jobs = 0;
  #ahead = 0;
  #isReady = false;
  #isStarted = false;

  /** @param worth entries after which threads are started */
  constructor(crew: () => SourceCrew, worth = FOR_THREADS) {
    this.#crew = crew;
    this.#worth = worth;
  }

  /** What a directory lists: an option of `writeErofs`. */
  readonly list = (node: TreeNode): Awaitable<readonly DirectoryEntry[]> => {
    if (!(node instanceof HostNode)) return node.list();
    const state = this.#states.get(node);
    this.#states.delete(node);
    if (state === undefined || state === 'wanted') return this.#follow(node.list());
    this.#ahead--;
    return state.then((listing) =>
      // What a thread could not list raises its error here.
      this.#follow(listing ? node.entriesOf(listing) : node.list()),
    );
  };

  /** Wants the directories among entries that are given out. */
  #follow(entries: readonly DirectoryEntry[]): readonly DirectoryEntry[] {
    this.#entries += entries.length;
    for (const { node } of entries.toReversed()) {
      if (!(node instanceof HostNode) || node.type !== 'directory') continue;
      this.#wanted.push(node);
      this.#states.set(node, 'wanted');
    }
    if (this.#entries >= this.#worth && this.#wanted.length > 0) this.#hand();
    return entries;
  }

  #hand(): void {
    if (!this.#isReady) {
      this.#start();
      return;
    }
    while (this.#jobs < MOST_JOBS && this.#ahead < MOST_AHEAD) {
      const nodes = this.#next();
      if (nodes.length === 0) return;
      this.#give(nodes);
    }
  }

  #next(): HostNode[] {
    const nodes: HostNode[] = [];
    while (nodes.length < JOB_DIRECTORIES) {
      const node = this.#wanted.pop();
      if (node === undefined) break;
      if (this.#states.get(node) === 'wanted') nodes.push(node);
    }
    return nodes;
  }

  #give(nodes: readonly HostNode[]): void {
    const listing = new FileListing();
    for (const node of nodes) listing.add(node);
    const listings = this.#crew().ask({ kind: 'list', directories: listing.take() });
    this.#jobs++;
    this.#ahead += nodes.length;
    for (const [index, node] of nodes.entries()) {
      const coming = listings.then((all) => all[index]);
      // Whoever asks for it hears of a failure.
      coming.catch(() => {});
      this.#states.set(node, coming);
    }
    const done = () => {
      this.#jobs--;
      this.#hand();
    };
    listings.then(done, () => {});
  }

  /** Until threads are there nothing is left to them. */
  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const ready = () => {
      this.#isReady = true;
      this.#hand();
    };
    const nothing = new FileListing().take();
    this.#crew()
      .ask({ kind: 'list', directories: nothing })
      .then(ready, () => {});
  }
}
