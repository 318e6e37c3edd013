import type { CallOptions } from '@anole/bytes';
import type { ControlFields } from './control.ts';
import type { DependencyField } from './dependency.ts';
import type { NetworkOptions } from './http.ts';

/** Debian's `Multi-Arch` field (Debian Policy has none; the Multiarch/Implementation specification). */
export type MultiArch = 'no' | 'same' | 'foreign' | 'allowed';

/** What is needed to get one package's file and to know it is the right one: a lock file holds these. */
export interface PackageFile {
  readonly name: string;
  readonly version: string;
  /** The package's own architecture: `all` for packages that serve each. */
  readonly architecture: string;
  /** The suite it came from, as asked for: `trixie`, `trixie-security`. */
  readonly suite: string;
  /** Path below the suite's base URI: `pool/main/b/bash/bash_5.2.37-2_riscv64.deb`. */
  readonly filename: string;
  /** Bytes of the `.deb`. */
  readonly size: number;
  /** Lower-case hexadecimal SHA-256 of the `.deb`. */
  readonly sha256: string;
}

/** A package as the archive's index describes it. Fields that are parsed are parsed when asked for. */
export interface PackageRecord extends PackageFile {
  /** Bytes once unpacked, as the index estimates (a multiple of 1024). */
  readonly installedSize: number;
  readonly essential: boolean;
  /** `required`, `important`, `standard`, `optional` or `extra`. */
  readonly priority: string;
  readonly multiArch: MultiArch;
  /** Name of the source package. */
  readonly source: string;
  /** Each inner list is one clause: any one of its alternatives satisfies it. */
  readonly preDepends: DependencyField;
  readonly depends: DependencyField;
  readonly recommends: DependencyField;
  readonly conflicts: DependencyField;
  readonly breaks: DependencyField;
  readonly replaces: DependencyField;
  readonly provides: DependencyField;
  /** All fields of the index's paragraph, by name whatever the case. */
  readonly fields: ControlFields;
}

/** The packages of all suites of one archive, for one architecture (with `all`). */
export interface PackageIndex {
  /** The architecture asked for: `riscv64`. */
  readonly architecture: string;
  /** Versions there are, in all suites together. */
  readonly size: number;
  /** All versions of a package, the newest first; empty where there is none. */
  versions(name: string): readonly PackageRecord[];
  /** The newest version, or the named one. */
  get(name: string, version?: string): PackageRecord | undefined;
  /** The packages whose newest version `Provides` the name, sorted by name. */
  providers(name: string): readonly PackageRecord[];
  /** The packages whose newest version has a field of that value, sorted by name: `Essential`, `yes`. */
  having(field: string, value: string): readonly PackageRecord[];
  /** The newest version of each package, in the order of names. Parses all that there is: slow. */
  [Symbol.iterator](): Iterator<PackageRecord>;
}

/** A suite to use. Missing optional ones are reported in {@link Archive.missing}. */
export interface SuiteRequest {
  readonly name: string;
  /** Default: false; a plain string in a list of suites stands for a required suite. */
  readonly optional?: boolean;
}

/** Where packages come from and where they are kept. */
export interface ArchiveRequest extends CallOptions {
  /** Base URI of a Debian archive. Default: `ANOLE_DEBIAN_MIRROR`, else apt's configuration. */
  readonly mirror?: string;
  readonly suites: readonly (string | SuiteRequest)[];
  /** Such as `main`. */
  readonly components: readonly string[];
  /** Debian's name: `riscv64`, `amd64`, `arm64`. */
  readonly architecture: string;
  /** File with OpenPGP public keys (binary or armored) that replaces the Debian archive keyring. */
  readonly keyring?: string;
  /** Directory of the cache. Default: `cacheDirectory()` of @anole/host. */
  readonly cache?: string;
  /** Uses only what the cache holds. */
  readonly offline?: boolean;
  readonly network?: NetworkOptions;
  /** Milliseconds since 1970 by which dates are judged. Default: the clock. */
  readonly now?: number;
  /** Stands in for `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Stands in for `/`, below which apt's configuration and the system's keyrings are looked for. */
  readonly root?: string;
}

/** A suite's verified Release file. */
export interface Release {
  readonly suite: string;
  readonly codename: string;
  /** Point release, such as `13.7`; empty where the suite states none. */
  readonly version: string;
  /** Seconds since 1970 of the field `Date`. */
  readonly date: number;
  /** Base URI the suite's files are below. */
  readonly uri: string;
  /** Fingerprints (upper-case hexadecimal) of the primary keys whose signatures were good. */
  readonly signedBy: readonly string[];
}

export interface MissingSuite {
  readonly suite: string;
  readonly reason: string;
}

/** Gets package files, checked against their hashes, out of the cache or from the mirror. */
export interface PackagePool {
  /**
   * Path of the package's file in the cache: never write to it. A path stays valid as long as the
   * cache is not cleaned.
   *
   * @throws ArchiveError `ARCHIVE_NOT_FOUND`, `ARCHIVE_UNREACHABLE`, `ARCHIVE_WRONG_HASH`,
   * `ARCHIVE_OFFLINE`; HostError `HOST_NO_SPACE`.
   */
  fetch(file: PackageFile, options?: CallOptions): Promise<{ readonly path: string }>;
  /** Fetches all, about eight at once; paths in the order of `files`. Progress counts bytes of the whole set. */
  fetchAll(
    files: readonly PackageFile[],
    options?: CallOptions,
  ): Promise<readonly { readonly path: string }[]>;
}

export interface Archive extends PackagePool {
  readonly packages: PackageIndex;
  /** One for each suite that was found, in the order asked for. */
  readonly releases: readonly Release[];
  /** The optional suites that were not found. */
  readonly missing: readonly MissingSuite[];
}
