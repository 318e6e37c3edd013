import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Contestant, Report } from './harness.ts';
import { finish, ImageMounts, anole as ours, output } from './image-mounts.ts';
import { bytesWanted } from './lazy-bytes.ts';
import { type LazyImage, lazyImages, PLATFORM, prepareImage, traceOf } from './lazy-images.ts';
import { compareWarm, memoryOfMany, secondStart } from './lazy-service.ts';
import { hasProgram } from './programs.ts';
import { registry } from './registry.ts';
import { type SlowLink, slowLink } from './slow-link.ts';

const MEGABIT = 1e6;
const LINK = { bits: 100 * MEGABIT, delay: 10 };
/** Images whose mounts the service's memory is measured with. */
const MANY = 20;

/**
 * The first output of programs whose image is behind a slow link, beside pulling and unpacking it; images as
 * they are beside converted ones; second starts; what is here read again; memory of the service.
 * `--only=NAME` takes one image, `--part=start|forms|second|warm|memory` one part; `--images=DIRECTORY` keeps
 * images there, and takes those that it has.
 */
export default async function lazy(report: Report): Promise<void> {
  const tools = ['docker-registry', 'skopeo', 'umoci'].filter((tool) => !hasProgram(tool));
  if (tools.length > 0 || process.geteuid?.() !== 0 || process.arch !== 'x64') {
    return report.skip('images', `needs root, x64 and ${tools.join(', ') || 'nothing else'}`);
  }
  await using resources = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'anole-bench-'));
  resources.defer(() => rmSync(directory, { recursive: true, force: true }));
  const images = resolve(report.option('images') ?? directory);
  mkdirSync(images, { recursive: true });
  const { host, port } = resources.use(await registry(images, 'registry'));
  const mounts = resources.use(new ImageMounts(directory));
  report.note(`a link of ${LINK.bits / MEGABIT} Mbit/s and ${2 * LINK.delay} ms there and back`);
  const only = report.option('only');
  const part = report.option('part');
  const isWanted = (each: string) => part === undefined || part === each;
  const chosen = lazyImages.filter(({ name }) => only === undefined || only === name);
  for (const image of chosen) {
    await prepareImage(image, images, host, directory);
    await using link = await slowLink(port, LINK.bits, LINK.delay);
    const setting = { link, host, images, mounts, directory };
    if (isWanted('start')) await compareStarts(report, image, setting);
    if (isWanted('forms')) await compareForms(report, image, setting);
    const reference = `docker://${link.host}/${image.name}`;
    if (isWanted('second')) await secondStart(report, image, reference, { ...setting, ...link });
  }
  const [first] = chosen;
  if (first === undefined) return;
  const warm = `docker://${host}/${first.name}:lazy`;
  if (isWanted('warm')) await compareWarm(report, first.name, warm, { mounts, directory });
  if (!isWanted('memory')) return;
  const all = await many(chosen, images, host);
  await memoryOfMany(report, all, { mounts, directory });
}

/** Many images: those that there are, in all their forms, and further variants of the first. */
async function many(
  chosen: readonly LazyImage[],
  images: string,
  host: string,
): Promise<readonly { readonly name: string; readonly argv: readonly string[] }[]> {
  const all = chosen.flatMap(({ name, argv }) =>
    ['lazy', 'fast', 'indexed', 'soci', 'esgz'].map((tag) => ({
      name: `docker://${host}/${name}:${tag}`,
      argv,
    })),
  );
  const { name, argv } = chosen[0]!;
  for (let size = 1; all.length < MANY; size++) {
    const variant = `docker://${host}/${name}:lz4-${size}`;
    const done = join(images, `${name}-lz4-${size}.done`);
    if (!existsSync(done)) {
      const form = ['-z', 'lz4', '-C', String(4096 * size)];
      await ours('image', 'convert', `docker://${host}/${name}:plain`, variant, ...form);
      writeFileSync(done, '');
    }
    all.push({ name: variant, argv });
  }
  return all;
}

interface Setting {
  readonly link: SlowLink;
  /** The registry, without the link. */
  readonly host: string;
  /** Where images are kept. */
  readonly images: string;
  readonly mounts: ImageMounts;
  readonly directory: string;
}

async function compareStarts(report: Report, image: LazyImage, setting: Setting): Promise<void> {
  const { name } = image;
  const runs = report.full ? 5 : 2;
  const [plain, traced] = ['lazy', 'fast'].map((tag) => `docker://${setting.host}/${name}:${tag}`);
  const wanted = await bytesWanted(plain!, traced!, traceOf(image, setting.images));
  for (const [tag, what, target] of [
    ['lazy', 'as converted', 0.15],
    ['fast', 'as traced', 0.1],
  ] as const) {
    const came: number[] = [];
    await report.compare({
      name: `${name} ${what}: reference to first output`,
      ours: mounted(image, tag, setting, came),
      peer: pulled(image, setting),
      runs,
      target,
    });
    const megabytes = came.at(-1)! / 1e6;
    report.figure(`${name} ${what}: bytes that came`, megabytes, 'MB');
    const { pages, units } = wanted;
    report.figure(`${name} ${what}: of pages that are read`, came.at(-1)! / pages, 'times');
    if (tag === 'fast') continue;
    const ofUnits = `${name} ${what}: of units in which pages lie that are read`;
    report.figure(ofUnits, came.at(-1)! / units, 'times (target 1.3)');
  }
}

/** Images as they are, beside the same converted: what converting them is worth. */
async function compareForms(report: Report, image: LazyImage, setting: Setting): Promise<void> {
  const runs = report.full ? 5 : 2;
  for (const [tag, what] of [
    ['indexed', 'gzip layers with an index as EROFS'],
    ['soci', 'gzip layers with an index of SOCI'],
    ['esgz', 'eStargz'],
  ] as const) {
    const came: number[] = [];
    await report.compare({
      name: `${image.name}, ${what}, beside EROFS: reference to first output`,
      ours: mounted(image, tag, setting, came),
      peer: mounted(image, 'lazy', setting, []),
      runs,
      target: 1.4,
    });
    report.figure(`${image.name}, ${what}: bytes that came`, came.at(-1)! / 1e6, 'MB');
  }
}

function mounted(
  { name, argv }: LazyImage,
  tag: string,
  { link, mounts }: Setting,
  came: number[],
): Contestant {
  return {
    name: 'mounted on demand',
    before: () => mounts.start(),
    async run() {
      const before = link.received();
      await mounts.mount(`docker://${link.host}/${name}:${tag}`, PLATFORM);
      await output(mounts.point, argv);
      came.push(link.received() - before);
    },
  };
}

function pulled({ name, argv }: LazyImage, { link, directory }: Setting): Contestant {
  const copied = join(directory, 'copied');
  const unpacked = join(directory, 'unpacked');
  return {
    name: 'skopeo, umoci and chroot',
    before() {
      for (const each of [copied, unpacked]) rmSync(each, { recursive: true, force: true });
    },
    async run() {
      const from = `docker://${link.host}/${name}:plain`;
      await finish('skopeo', ['copy', '--src-tls-verify=false', from, `oci:${copied}:it`]);
      await finish('umoci', ['unpack', '--image', `${copied}:it`, unpacked]);
      await output(join(unpacked, 'rootfs'), argv);
    },
  };
}
