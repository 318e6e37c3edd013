/** Who owns what, as one side sees it. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The user "nobody" of Linux: `fs.overflowuid`. */
const NOBODY = 65534;

/**
 * Owners of a volume's files as the guest sees them. Run by root, they are what they are on the host.
 * Run by a user, that user's files appear as `shownAs`, and all others as nobody's, as in a container
 * without root: the guest can do on the host what the user can, and no more.
 */
export class Owners {
  readonly #user: Owner;
  readonly #shownAs: Owner;
  readonly #same: boolean;

  constructor(user: Owner, shownAs: Owner) {
    this.#user = user;
    this.#shownAs = shownAs;
    this.#same = user.uid === 0;
  }

  shown({ uid, gid }: Owner): Owner {
    if (this.#same) return { uid, gid };
    return {
      uid: uid === this.#user.uid ? this.#shownAs.uid : NOBODY,
      gid: gid === this.#user.gid ? this.#shownAs.gid : NOBODY,
    };
  }

  /** The host's ids for the guest's, or undefined where only root could give a file to them. */
  onHost({ uid, gid }: Owner): Owner | undefined {
    if (this.#same) return { uid, gid };
    return uid === this.#shownAs.uid && gid === this.#shownAs.gid ? this.#user : undefined;
  }

  /** Whether a file of this host user can be made accessible for as long as a call takes. */
  owns(hostUid: number): boolean {
    return !this.#same && hostUid === this.#user.uid;
  }
}
