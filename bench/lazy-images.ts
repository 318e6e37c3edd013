import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
export function writeRecipe({ name, recipe }: LazyImage, directory: string): string {
  const path = join(directory, `${name}.yaml`);
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ description: `A runtime: ${name}`, ...recipe }));
  return path;
}
