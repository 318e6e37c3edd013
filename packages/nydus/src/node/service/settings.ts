import { HostError } from '@anole/host';
import { type Credentials, DEFAULT_RETRIES } from '@anole/oci';
import { DEFAULT_STALL } from '@anole/oci/node';

/** Bounds of a service. What is missing has none. */
export interface Limits {
  /** Bytes of the disk that blobs may take which nobody uses. */
  readonly quota?: number;
  /** Bytes a second that are asked of all back ends together. */
  readonly rate?: number;
  /** How often a back end is asked again before a reader gets an error. */
  readonly retries?: number;
  /** Milliseconds of silence after which a connection to a back end is given up. */
  readonly stall?: number;
}

/** A login that goes before those of this computer's files. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** What is changed while a service runs, as its keeper hands it to the next. */
export interface Settings {
  readonly limits: Limits;
  readonly logins: Readonly<Record<string, Login>>;
}

/** Pauses double, up to a minute. */
const MAX_RETRIES = 100;
/** Milliseconds: ten minutes. */
const MAX_STALL = 600_000;
const MAX_LOGINS = 256;
const MAX_TEXT = 8192;

/** Settings of a running service. A change holds from the next request on. */
export class LiveSettings {
  #settings: Settings;
  readonly #onChange: (settings: Settings) => void;

  constructor(settings: Settings, onChange: (settings: Settings) => void) {
    this.#settings = settings;
    this.#onChange = onChange;
  }

  get limits(): Limits {
    return this.#settings.limits;
  }

  /** What holds, also where nobody has set it: null is no bound. */
  get holding(): Readonly<Record<keyof Limits, number | null>> {
    const { quota = null, rate = null, retries, stall } = this.limits;
    return {
      quota,
      rate,
      retries: retries ?? DEFAULT_RETRIES,
      stall: stall ?? DEFAULT_STALL,
    };
  }

  /** Hosts with a login of this service's own. Passwords are not shown. */
  get logins(): readonly { readonly host: string; readonly username: string }[] {
    const { logins } = this.#settings;
    return Object.entries(logins).map(([host, { username }]) => ({ host, username }));
  }

  loginOf(host: string): Credentials | undefined {
    const { logins } = this.#settings;
    return Object.hasOwn(logins, host) ? logins[host] : undefined;
  }

  /**
   * Changes bounds: a number sets one, null takes it away, what is missing stays.
   *
   * @throws HostError `HOST_WRONG_CONTENT`
   */
  changeLimits(change: unknown): Limits {
    const { quota, rate, retries, stall, ...others } = objectOf(change);
    if (Object.keys(others).length > 0) throw badRequest(`there is no ${Object.keys(others)[0]}`);
    if (rate === 0) throw badRequest('rate is at least 1');
    if (typeof retries === 'number' && retries > MAX_RETRIES) {
      throw badRequest(`retries are ${MAX_RETRIES} at most`);
    }
    if (stall === 0 || (typeof stall === 'number' && stall > MAX_STALL)) {
      throw badRequest(`stall is from 1 to ${MAX_STALL} milliseconds`);
    }
    const limits = {
      ...bound('quota', quota, this.limits.quota),
      ...bound('rate', rate, this.limits.rate),
      ...bound('retries', retries, this.limits.retries),
      ...bound('stall', stall, this.limits.stall),
    };
    this.#change({ ...this.#settings, limits });
    return limits;
  }

  /** Adds a login, or changes one. @throws HostError `HOST_WRONG_CONTENT` */
  setLogin(given: unknown): void {
    const { host, username, password } = objectOf(given);
    if (!isText(host) || host === '' || !isText(username) || !isText(password)) {
      throw badRequest('host, username and password must be texts');
    }
    const { logins } = this.#settings;
    const isNew = !Object.hasOwn(logins, host);
    if (isNew && Object.keys(logins).length >= MAX_LOGINS)
      throw badRequest('there are too many logins');
    this.#change({ ...this.#settings, logins: { ...logins, [host]: { username, password } } });
  }

  /** Goes back to the login of this computer's files. */
  removeLogin(host: string): void {
    const { [host]: _, ...logins } = this.#settings.logins;
    this.#change({ ...this.#settings, logins });
  }

  #change(settings: Settings): void {
    this.#settings = settings;
    this.#onChange(settings);
  }
}

export function badRequest(what: string): HostError {
  return new HostError('HOST_WRONG_CONTENT', `Cannot do as asked: ${what}`);
}

const units: Readonly<Record<keyof Limits, string>> = {
  quota: 'bytes',
  rate: 'bytes',
  retries: 'times',
  stall: 'milliseconds',
};

function bound(
  name: keyof Limits,
  given: unknown,
  before: number | undefined,
): { readonly [Name in typeof name]?: number } {
  if (given === null) return {};
  if (given === undefined) return before === undefined ? {} : { [name]: before };
  if (Number.isSafeInteger(given) && (given as number) >= 0) return { [name]: given as number };
  throw badRequest(`${name} is no number of ${units[name]}`);
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw badRequest('the request is no object');
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}
