import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inRoot, anole as ours } from './image-mounts.ts';

export const PLATFORM = 'linux/amd64';
const FORM = ['-z', 'zstd', '-C', '65536', '-E', 'all-fragments'];

/** An image to start from afar, and a program of it whose first output is waited for. */
export interface LazyImage {
  readonly name: string;
  /** Packages beside those of the recipe that is extended. */
  readonly recipe: { readonly extends: string; readonly packages: readonly string[] };
  /** Prints 42. */
  readonly argv: readonly string[];
}

/** Runtimes of languages, each of 200 MB or more. */
export const lazyImages: readonly LazyImage[] = [
  {
    name: 'python',
    recipe: { extends: 'python', packages: ['python3-scipy', 'python3-pandas'] },
    argv: ['python3', '-c', 'import json, email.parser; print(6 * 7)'],
  },
  {
    name: 'node',
    recipe: { extends: 'base', packages: ['nodejs', 'npm'] },
    argv: ['node', '-e', 'console.log(6 * 7)'],
  },
  {
    name: 'java',
    recipe: { extends: 'base', packages: ['openjdk-21-jre-headless', 'rhino'] },
    argv: [
      '/usr/lib/jvm/java-21-openjdk-amd64/bin/java',
      '-jar',
      '/usr/share/java/rhino.jar',
      '-e',
      'print(6 * 7)',
    ],
  },
];

/** Writes the image's recipe, and gives its path. */
function writeRecipe({ name, recipe }: LazyImage, directory: string): string {
  const path = join(directory, `${name}.yaml`);
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ description: `A runtime: ${name}`, ...recipe }));
  return path;
}

/** The file that has what the image's program reads. */
export function traceOf({ name }: LazyImage, images: string): string {
  return join(images, `${name}.trace`);
}

/**
 * Makes the forms of an image, in the registry of a host: `plain`, `lazy` as converted, `fast` with a trace of its
 * program, `indexed` as `anole image index` does it, `soci`, `esgz`. Those that a directory of images has are taken as they are.
 */
export async function prepareImage(
  image: LazyImage,
  images: string,
  host: string,
  scratch: string,
): Promise<void> {
  const { name, argv } = image;
  const done = join(images, `${name}.done`);
  if (existsSync(done) && existsSync(traceOf(image, images))) return;
  const layout = join(scratch, `${name}.oci`);
  const tag = (tag: string) => `docker://${host}/${name}:${tag}`;
  const recipe = writeRecipe(image, scratch);
  await ours('os', 'build', recipe, '--arch', 'amd64', '--format', 'oci', '-o', layout);
  // As images of languages have it.
  await ours('image', 'config', `oci:${layout}`, tag('plain'), '--cmd', JSON.stringify(argv));
  await ours('image', 'convert', tag('plain'), tag('lazy'), ...FORM);
  const trace = traceOf(image, images);
  const point = join(scratch, 'traced');
  mkdirSync(point, { recursive: true });
  const command = ['--', ...inRoot(point, argv)];
  await ours('image', 'trace', '--platform', PLATFORM, '-o', trace, tag('lazy'), point, ...command);
  await ours('image', 'convert', tag('plain'), tag('fast'), ...FORM, '--trace', trace);
  await ours('image', 'index', tag('plain'), '--bind', tag('indexed'));
  await ours('image', 'index', tag('plain'), '--format', 'soci', '--bind', tag('soci'));
  await ours('image', 'convert', tag('plain'), tag('esgz'), '--format', 'estargz');
  writeFileSync(done, '');
}
