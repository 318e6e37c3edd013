import type { CallOptions, ReadOptions } from '@anole/bytes';
import type { BlobOptions, ImageReader, ReferrersOptions } from '../content.ts';
import { OciError } from '../errors.ts';
import type { Descriptor } from '../manifest.ts';
import type { Reference, ShortReference } from '../reference.ts';
import { RegistryClient } from '../registry/client.ts';
import type { CredentialProvider } from '../registry/credentials.ts';
import type { Documents } from '../registry/documents.ts';
import { unreachable } from '../registry/exchange.ts';
import { Repository } from '../registry/repository.ts';
import type { Patience } from '../registry/retry.ts';
import type { HttpTransport } from '../registry/transport.ts';
import { certificateDirectories, certificatesIn, readCertificates } from './certificates.ts';
import { authFiles, findCredentials } from './docker-config.ts';
import { FallbackTransport } from './fallback-transport.ts';
import { type Certificates, NodeTransport, type NodeTransportOptions } from './http.ts';
import { KeptReader, type PullPolicy } from './kept-reader.ts';
import { type Place, RegistriesConfiguration } from './registries-conf.ts';
import { RemoteLayout } from './remote-layout.ts';
import { type BucketPlace, findBucket } from './s3/bucket.ts';
import { findS3Keys } from './s3/keys.ts';
import { S3Transport } from './s3/transport.ts';

/** Milliseconds of silence after which a proxy is not waited for. */
const PROXY_STALL = 5000;

export interface RegistriesOptions extends Patience {
  /** Default `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: the files of docker and podman, and their helpers. */
  readonly credentials?: CredentialProvider;
  /** Directory with `*.crt`, `*.cert` and `*.key` for all registries, before those of the system. */
  readonly certificates?: string;
  /** Plain HTTP, and certificates nobody knows, will do. Default: as registries.conf says. */
  readonly insecure?: boolean;
  /** Milliseconds of silence after which a connection is given up. Default 30,000. */
  readonly stall?: number | undefined;
  /** Where manifests are kept, for programs that open the same images again and again. Default: nowhere. */
  readonly documents?: Documents;
}

/**
 * The registries of the world as this computer is set up for them: mirrors, certificates, logins,
 * short names. Connections are kept until it is disposed of.
 */
export class Registries implements Disposable {
  readonly configuration: RegistriesConfiguration;
  private readonly options: RegistriesOptions;
  private readonly clients = new Map<string, Promise<RegistryClient>>();
  private readonly transports = new Map<string, NodeTransport>();

  private constructor(configuration: RegistriesConfiguration, options: RegistriesOptions) {
    this.configuration = configuration;
    this.options = options;
  }

  /** @throws OciError `OCI_BAD_CONFIGURATION` */
  static async load(options: RegistriesOptions = {}): Promise<Registries> {
    return new Registries(await RegistriesConfiguration.load(options.environment), options);
  }

  /** The whole name for a short one. @throws OciError `OCI_NO_REGISTRY` */
  expand(reference: Reference | ShortReference): Reference {
    return this.configuration.expand(reference);
  }

  /** The repository itself, to write to. */
  async repository(reference: Reference, options: CallOptions = {}): Promise<Repository> {
    const place = this.configuration.places(reference).at(-1)!;
    const { documents } = this.options;
    return new Repository(await this.client(place, options), place.reference, documents);
  }

  /**
   * The repository to read from: its mirrors, and itself where they fail. What is kept of it asks nobody.
   *
   * @param options when it is asked what a tag stands for, where manifests are kept; default `always`
   */
  async reader(
    reference: Reference,
    { pull = 'always', ...options }: CallOptions & { readonly pull?: PullPolicy } = {},
  ): Promise<ImageReader> {
    const { documents } = this.options;
    if (documents === undefined) return await this.#source(reference, options);
    const places = this.configuration.places(reference).map((each) => each.reference);
    const names = places.map(({ host, repository }) => `${host}/${repository}`);
    // Where it was opened, it is read by others too: who opened it may have gone.
    return new KeptReader({ names, documents, pull, open: () => this.#source(reference) });
  }

  async #source(reference: Reference, options: CallOptions = {}): Promise<ImageReader> {
    const places = this.configuration.places(reference);
    if (places.length === 1) return this.repository(reference, options);
    const open = places.map((place) => async () => {
      const { documents } = this.options;
      return new Repository(await this.client(place, options), place.reference, documents);
    });
    return new Mirrored(`${reference.host}/${reference.repository}`, open);
  }

  /** A layout on a web server. @param url of its directory, with a slash at the end */
  async layout(url: URL, { signal }: CallOptions = {}): Promise<ImageReader> {
    signal?.throwIfAborted();
    const { environment = process.env } = this.options;
    const transport = this.#transport(this.options.insecure ?? false);
    const client = this.#clientOf(url.host, url, transport, environment);
    return new RemoteLayout(client, `oci+${url.href}`);
  }

  /** A layout in a bucket of S3, or of what speaks like it. @throws OciError as {@link findBucket} */
  async bucket(place: BucketPlace): Promise<ImageReader> {
    const { environment = process.env } = this.options;
    const { base, region } = findBucket(place, environment);
    const transport = new S3Transport({
      transport: this.#transport(this.options.insecure ?? false),
      origin: base.origin,
      region,
      keys: () => findS3Keys(environment),
    });
    const client = this.#clientOf(base.host, base, transport, environment);
    return new RemoteLayout(client, `s3://${place.bucket}/${place.prefix}`);
  }

  /**
   * Asks a registry whether it speaks with who asks.
   *
   * @throws OciError `OCI_UNAUTHORIZED` where the login is wrong or missing
   */
  async greet(host: string, options: CallOptions = {}): Promise<void> {
    const client = await this.client(
      { reference: { host, repository: 'any' }, insecure: false, isMirror: false },
      options,
    );
    const { signal } = options;
    const call = { method: 'GET', path: 'v2/', scope: '', expect: [200] } as const;
    (await client.call({ ...call, ...(signal && { signal }) })).close();
  }

  [Symbol.dispose](): void {
    for (const transport of this.transports.values()) transport[Symbol.dispose]();
  }

  private client(place: Place, options: CallOptions): Promise<RegistryClient> {
    const insecure = this.options.insecure ?? place.insecure;
    const key = `${place.reference.host} ${insecure}`;
    let client = this.clients.get(key);
    if (client === undefined) {
      client = this.connect(place.reference.host, insecure, options);
      this.clients.set(key, client);
      // A failure is not remembered.
      client.catch(() => this.clients.delete(key));
    }
    return client;
  }

  private async connect(
    host: string,
    insecure: boolean,
    { signal }: CallOptions,
  ): Promise<RegistryClient> {
    const { environment = process.env } = this.options;
    const plain = await isPlain(this.#direct(insecure), host, insecure, signal);
    const base = new URL(`${plain ? 'http' : 'https'}://${host}/`);
    return this.#clientOf(host, base, this.#transport(insecure), environment);
  }

  #clientOf(
    host: string,
    base: URL,
    transport: HttpTransport,
    environment: NonNullable<RegistriesOptions['environment']>,
  ): RegistryClient {
    const { options } = this;
    return new RegistryClient(host, base, {
      transport,
      credentials: options.credentials ?? ((each) => findCredentials(each, authFiles(environment))),
      // They may change while the client is in use.
      get retries() {
        return options.retries;
      },
      get pause() {
        return options.pause;
      },
    });
  }

  /** Through the proxy that images have of their own, where there is one, and without it where it fails. */
  #transport(insecure: boolean): HttpTransport {
    const proxy = (this.options.environment ?? process.env)['ANOLE_IMAGE_PROXY'];
    const direct = this.#direct(insecure);
    if (!proxy) return direct;
    const proxies = { http_proxy: proxy, https_proxy: proxy };
    const through = this.#direct(insecure, { proxies, stall: PROXY_STALL });
    return new FallbackTransport(through, direct);
  }

  /** One for all hosts: it keeps their connections apart. */
  #direct(insecure: boolean, other: NodeTransportOptions = {}): NodeTransport {
    const { options } = this;
    const { environment = process.env } = options;
    const key = `${insecure} ${JSON.stringify(other)}`;
    let transport = this.transports.get(key);
    if (transport === undefined) {
      transport = new NodeTransport({
        insecure,
        proxies: environment,
        certificatesFor: (each) => this.certificates(each),
        ...other,
        // It may change while connections are in use.
        get stall() {
          return other.stall ?? options.stall;
        },
      });
      this.transports.set(key, transport);
    }
    return transport;
  }

  private async certificates(host: string): Promise<Certificates> {
    const { certificates, environment } = this.options;
    const own = certificates === undefined ? undefined : await readCertificates(certificates);
    return own ?? certificatesIn(certificateDirectories(environment), host);
  }
}

/** Plain HTTP does no harm where no wire is: docker takes it there, too. */
function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/.test(host);
}

/**
 * Whether a host is to be spoken to without TLS. Nothing is told to it here.
 *
 * @throws OciError `OCI_UNREACHABLE` where it answers neither way: it may be there later, and speak either
 */
async function isPlain(
  transport: NodeTransport,
  host: string,
  insecure: boolean,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (!isLoopback(host) && !insecure) return false;
  const greet = (scheme: string) => greeting(transport, new URL(`${scheme}://${host}/v2/`), signal);
  // On loopback most do not speak TLS; those that do answer a plain greeting with 400 or nothing.
  const plain = isLoopback(host) ? await greet('http') : undefined;
  if (typeof plain === 'number') return [200, 401].includes(plain);
  const tls = await greet('https');
  // A certificate that is refused is TLS: what follows must not be said in the clear.
  if (typeof tls === 'number' || isCertificateError(tls)) return false;
  const url = new URL(`https://${host}/v2/`);
  if (plain !== undefined) throw unreachable(url, plain);
  if (typeof (await greet('http')) === 'number') return true;
  throw unreachable(url, tls);
}

/** The status of an answer, or what went wrong. */
async function greeting(
  transport: NodeTransport,
  url: URL,
  signal: AbortSignal | undefined,
): Promise<number | Error> {
  try {
    const call = { method: 'GET', url, headers: {}, ...(signal && { signal }) } as const;
    const answer = await transport.send(call);
    answer.close();
    return answer.status;
  } catch (error) {
    signal?.throwIfAborted();
    return error instanceof Error ? error : new Error(String(error));
  }
}

function isCertificateError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /CERT|SIGNATURE|ISSUER|ALT_NAME|TLSV1|SSLV3_ALERT/.test(code);
}

/** Several places that have the same: the first that answers serves from then on. */
class Mirrored implements ImageReader {
  readonly name: string;
  private readonly places: readonly (() => Promise<Repository>)[];

  constructor(name: string, places: readonly (() => Promise<Repository>)[]) {
    this.name = name;
    this.places = places;
  }

  resolve(selector: string | undefined, options: ReadOptions = {}): Promise<Descriptor> {
    return this.first(options, (repository) => repository.resolve(selector, options));
  }

  resolveDocument(
    selector: string | undefined,
    options: ReadOptions = {},
  ): Promise<{ descriptor: Descriptor; bytes: Uint8Array }> {
    return this.first(options, (repository) => repository.resolveDocument(selector, options));
  }

  manifest(descriptor: Descriptor, options: ReadOptions = {}): Promise<Uint8Array> {
    return this.first(options, (repository) => repository.manifest(descriptor, options));
  }

  /** A mirror that fails in the middle is followed by the next, from there on. */
  async *blob(descriptor: Descriptor, options: BlobOptions = {}): AsyncGenerator<Uint8Array> {
    let at = options.start ?? 0;
    for (const [index, open] of this.places.entries()) {
      // Mirrors may have it wrong; the last place is the source itself.
      if (options.fresh && index < this.places.length - 1) continue;
      try {
        const repository = await open();
        for await (const chunk of repository.blob(descriptor, { ...options, start: at })) {
          yield chunk;
          at += chunk.length;
        }
        return;
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!(error instanceof OciError) || index === this.places.length - 1) throw error;
      }
    }
  }

  referrers(
    subject: Pick<Descriptor, 'digest'>,
    options: ReferrersOptions = {},
  ): Promise<readonly Descriptor[]> {
    return this.first(options, (repository) => repository.referrers(subject, options));
  }

  private async first<T>(
    { signal }: ReadOptions,
    ask: (repository: Repository) => Promise<T>,
  ): Promise<T> {
    for (const [index, open] of this.places.entries()) {
      try {
        return await ask(await open());
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof OciError) || index === this.places.length - 1) throw error;
      }
    }
    throw new OciError('OCI_UNREACHABLE', `Cannot reach ${this.name}: it has no places`);
  }
}
