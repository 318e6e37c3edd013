import type { BackEndFigures } from './back-ends.ts';
import type { Limits } from './settings.ts';
import type { CacheUsage, ServiceStatus } from './status.ts';

/** A service's figures as Prometheus reads them (text format 0.0.4). */
export function metrics(
  { mounts }: ServiceStatus,
  { blobs, whole }: CacheUsage,
  backEnds: readonly BackEndFigures[],
  { quota, rate }: Limits,
): string {
  const labels = ({ directory, kind, image }: ServiceStatus['mounts'][number]) =>
    `{directory=${quoted(directory)},kind="${kind}",image=${quoted(image.name)}}`;
  const perMount = (name: string, help: string, value: Gauge | Counter) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${gauges.has(value) ? 'gauge' : 'counter'}`,
    ...mounts.map((mount) => `${name}${labels(mount)} ${mount[value]}`),
  ];
  const single = (name: string, help: string, value: number) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    `${name} ${value}`,
  ];
  const perBackEnd = (name: string, help: string, value: 'requests' | 'bytes' | 'failures') => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} counter`,
    ...backEnds.map((each) => `${name}{backend=${quoted(each.name)}} ${each[value]}`),
  ];
  const passing = mounts.flatMap(({ passthrough, ...mount }) =>
    passthrough ? [{ ...mount, ...passthrough }] : [],
  );
  const limit = (name: string, help: string, value: number | undefined) =>
    value === undefined ? [] : single(name, help, value);
  const used = blobs.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    ...single('anole_image_mounts', 'Mounted images.', mounts.length),
    ...single('anole_image_cache_bytes', 'Bytes of the disk that blobs take.', used),
    ...single('anole_image_whole_file_bytes', 'Bytes of the disk that whole files take.', whole),
    ...single('anole_image_cache_blobs', 'Blobs in the cache.', blobs.length),
    ...limit('anole_image_cache_quota_bytes', 'Bytes that unused blobs may take.', quota),
    ...limit('anole_image_rate_limit_bytes', 'Bytes a second that may be asked for.', rate),
    ...perBackEnd('anole_image_backend_requests_total', 'Requests to back ends.', 'requests'),
    ...perBackEnd('anole_image_backend_bytes_total', 'Bytes that back ends gave.', 'bytes'),
    ...perBackEnd('anole_image_backend_failures_total', 'Requests that failed.', 'failures'),
    ...perMount('anole_image_bytes', 'Size of the image.', 'size'),
    ...perMount('anole_image_present_bytes', 'Bytes of the image that are here.', 'present'),
    ...perMount('anole_image_coming_chunks', 'Chunks that are being fetched.', 'coming'),
    ...perMount('anole_image_fetched_bytes_total', 'Bytes that were fetched.', 'fetched'),
    ...perMount('anole_image_fetches_total', 'Requests for bytes.', 'fetches'),
    ...perMount(
      'anole_image_damaged_chunks_total',
      'Chunks of the cache that were wrong.',
      'damaged',
    ),
    ...perMount(
      'anole_image_unstored_chunks_total',
      'Chunks that the disk did not take.',
      'unstored',
    ),
    ...perMount('anole_image_reader_errors_total', 'Errors that readers got.', 'failures'),
    '# HELP anole_image_passthrough Whether the kernel reads decoded files of a FUSE mount by itself.',
    '# TYPE anole_image_passthrough gauge',
    ...passing.map((mount) => `anole_image_passthrough${labels(mount)} ${mount.isOn ? 1 : 0}`),
    '# HELP anole_image_passed_opens_total Times that files were opened so.',
    '# TYPE anole_image_passed_opens_total counter',
    ...passing.map((mount) => `anole_image_passed_opens_total${labels(mount)} ${mount.opens}`),
    '# HELP anole_image_unmade_files_total Times that a file could not be made or proven for that.',
    '# TYPE anole_image_unmade_files_total counter',
    ...passing.map((mount) => `anole_image_unmade_files_total${labels(mount)} ${mount.failures}`),
    '',
  ].join('\n');
}

type Gauge = 'size' | 'present' | 'coming';
type Counter = 'fetched' | 'fetches' | 'damaged' | 'unstored' | 'failures';

const gauges: ReadonlySet<Gauge | Counter> = new Set<Gauge>(['size', 'present', 'coming']);

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
