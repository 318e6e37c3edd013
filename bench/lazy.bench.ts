import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findOnDemand } from '@anole/nydus/service';
import { hintsOf, parsePlatform } from '@anole/oci';
import { ImageStore, Registries } from '@anole/oci/node';
import type { Contestant, Report } from './harness.ts';
import { finish, ImageMounts, inRoot, anole as ours, output } from './image-mounts.ts';
import { type LazyImage, lazyImages, writeRecipe } from './lazy-images.ts';
import { hasProgram } from './programs.ts';
import { registry } from './registry.ts';
import { type SlowLink, slowLink } from './slow-link.ts';

const MEGABIT = 1e6;
const LINK = { bits: 100 * MEGABIT, delay: 10 };
const PLATFORM = 'linux/amd64';
const FORM = ['-z', 'zstd', '-C', '65536', '-E', 'all-fragments'];

/**
 * The first output of programs whose image is behind a slow link, beside pulling and unpacking it.
 * `--only=NAME` takes one image; `--images=DIRECTORY` keeps images there, and takes those that it has.
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
  for (const image of lazyImages) {
    if (only !== undefined && only !== image.name) continue;
    await prepare(image, images, host, directory);
    await using link = await slowLink(port, LINK.bits, LINK.delay);
    await compare(report, image, { link, mounts, directory });
  }
}

/** Builds an image, converts it, traces its program, and converts it with the trace. */
async function prepare(
  image: LazyImage,
  images: string,
  host: string,
  scratch: string,
): Promise<void> {
  const { name, argv } = image;
  const done = join(images, `${name}.done`);
  if (existsSync(done)) return;
  const layout = join(scratch, `${name}.oci`);
  const tag = (tag: string) => `docker://${host}/${name}:${tag}`;
  const recipe = writeRecipe(image, scratch);
  await ours('os', 'build', recipe, '--arch', 'amd64', '--format', 'oci', '-o', layout);
  await ours('image', 'copy', `oci:${layout}`, tag('plain'));
  await ours('image', 'convert', tag('plain'), tag('lazy'), ...FORM);
  const trace = join(scratch, `${name}.trace`);
  const point = join(scratch, 'traced');
  mkdirSync(point, { recursive: true });
  const command = ['--', ...inRoot(point, argv)];
  await ours('image', 'trace', '--platform', PLATFORM, '-o', trace, tag('lazy'), point, ...command);
  await ours('image', 'convert', tag('plain'), tag('fast'), ...FORM, '--trace', trace);
  await ours('image', 'index', tag('plain'), '--bind', tag('soci'));
  await ours('image', 'convert', tag('plain'), tag('esgz'), '--format', 'estargz');
  writeFileSync(done, '');
}

interface Setting {
  readonly link: SlowLink;
  readonly mounts: ImageMounts;
  readonly directory: string;
}

async function compare(report: Report, image: LazyImage, setting: Setting): Promise<void> {
  const { name } = image;
  const runs = report.full ? 5 : 2;
  const wanted = await bytesWanted(`docker://${setting.link.host}/${name}:fast`);
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
    report.figure(`${name} ${what}: of what is read`, came.at(-1)! / wanted, '(target 1.3)');
  }
  await compareForms(report, image, setting, runs);
}

/** Images as they are, beside the same converted: what converting them is worth. */
async function compareForms(
  report: Report,
  image: LazyImage,
  setting: Setting,
  runs: number,
): Promise<void> {
  for (const [tag, what] of [
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

/** Bytes of metadata, and of what the program reads, as they are stored. */
async function bytesWanted(name: string): Promise<number> {
  using registries = await Registries.load();
  const around = { registries, store: new ImageStore() };
  const { layers } = await findOnDemand(name, parsePlatform(PLATFORM), around);
  const { metadata, first } = hintsOf(layers[0]!);
  return [...metadata, ...first].reduce((sum, [start, end]) => sum + end - start, 0);
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
