/** What a name of a registry stood for. */
export interface NamedDocument {
  readonly digest: string;
  readonly mediaType: string;
}

/**
 * Manifests that are kept from one process to the next: a registry then says in a line that a tag is what it was,
 * and is not asked at all for what is named by its digest. What is got is a hint, which who asks verifies.
 */
export interface Documents {
  /** The bytes that were put under a digest; undefined where they are gone. */
  get(digest: string): Promise<Uint8Array | undefined>;
  /** Keeps bytes, unless they are too many. Does not fail: what is not kept is asked for again. */
  put(digest: string, bytes: Uint8Array): Promise<void>;
  /** What a name stood for when {@link note} was told of it. */
  named(name: string): Promise<NamedDocument | undefined>;
  note(name: string, document: NamedDocument): Promise<void>;
}
