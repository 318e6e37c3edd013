import * as v from 'valibot';

// The descriptions are what an editor shows: see json-schema.ts.

/** Debian Policy 5.6.7; a version or a suite may follow. */
const packageName = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9+.-]+([=/][\w.+~:-]+)?$/, 'is no name of a package'),
);
const userName = v.pipe(
  v.string(),
  v.regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'is no name of a user or group'),
);
const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(4294967294));
const absolutePath = v.pipe(
  v.string(),
  v.regex(/^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/, 'is no absolute path without dots'),
);
const mode = v.pipe(
  v.string(),
  v.regex(/^0?[0-7]{3,4}$/, 'is no mode; write it in quotes, as "0755"'),
  v.description('Permission bits in octal, in quotes: "0755".'),
);
const owner = { mode: v.optional(mode), owner: v.optional(id), group: v.optional(id) };

const fileSchema = v.pipe(
  v.union(
    [
      v.strictObject({ path: absolutePath, content: v.string(), ...owner }),
      v.strictObject({
        path: absolutePath,
        source: v.pipe(v.string(), v.minLength(1), v.description('A file beside the recipe.')),
        ...owner,
      }),
      v.strictObject({ path: absolutePath, link: v.pipe(v.string(), v.minLength(1)) }),
      v.strictObject({ path: absolutePath, directory: v.literal(true), ...owner }),
    ],
    'must be a path with one of content, source, link and directory',
  ),
  v.description('A file with content or from a source file, a symbolic link, or a directory.'),
);

const userSchema = v.strictObject({
  name: userName,
  uid: v.optional(id),
  comment: v.optional(v.pipe(v.string(), v.regex(/^[^:\n]*$/, 'must not hold colons'))),
  home: v.optional(absolutePath),
  shell: v.optional(absolutePath),
  groups: v.optional(v.pipe(v.array(userName), v.description('Further groups, made if missing.'))),
});

const suiteSchema = v.union([
  v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]*$/, 'is no name of a suite')),
  v.strictObject({ name: v.string(), optional: v.optional(v.boolean()) }),
]);

/** What a recipe file holds. Everything is optional: what is absent comes from what it extends. */
export const recipeSchema = v.strictObject({
  $schema: v.optional(v.string()),
  description: v.optional(v.pipe(v.string(), v.description('One line for `anole os list`.'))),
  extends: v.optional(
    v.pipe(
      v.string(),
      v.minLength(1),
      v.description('A built-in recipe by name, or a recipe file relative to this one.'),
    ),
  ),
  distribution: v.optional(v.picklist(['debian'])),
  suites: v.optional(
    v.pipe(
      v.array(suiteSchema),
      v.minLength(1),
      v.description('Where packages come from; optional suites may be missing.'),
    ),
  ),
  components: v.optional(v.pipe(v.array(v.string()), v.minLength(1))),
  architecture: v.optional(
    v.pipe(
      v.picklist(['riscv64', 'arm64', 'amd64']),
      v.description('Used unless --arch says otherwise.'),
    ),
  ),
  essential: v.optional(v.pipe(v.boolean(), v.description('Adds every package marked Essential.'))),
  recommends: v.optional(
    v.pipe(v.boolean(), v.description('Follows Recommends as well as Depends.')),
  ),
  packages: v.optional(
    v.pipe(v.array(packageName), v.description('Packages to install, with all they depend on.')),
  ),
  'without-packages': v.optional(
    v.pipe(v.array(packageName), v.description('Packages that must not be installed.')),
  ),
  exclude: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.minLength(1))),
      v.description(
        'Paths left out of packages: `*` within a name, `**` across, `!` in front keeps.',
      ),
    ),
  ),
  hostname: v.optional(
    v.pipe(v.string(), v.regex(/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62})$/, 'is no host name')),
  ),
  environment: v.optional(
    v.pipe(
      v.record(
        v.pipe(v.string(), v.regex(/^[A-Za-z_]\w*$/, 'is no name of a variable')),
        v.string(),
      ),
      v.description('Variables of every command.'),
    ),
  ),
  users: v.optional(v.array(userSchema)),
  files: v.optional(v.array(fileSchema)),
  kernel: v.optional(
    v.pipe(
      v.strictObject({
        package: v.pipe(
          v.string(),
          v.regex(/^[a-z0-9][a-zA-Z0-9+.-]+$/, 'is no name of a package'),
        ),
      }),
      v.description('The kernel to boot; `ARCH` in the name stands for the architecture.'),
    ),
  ),
});

/** A recipe file's contents. */
export type RecipeFile = v.InferOutput<typeof recipeSchema>;
export const architectures = ['riscv64', 'arm64', 'amd64'] as const;
export type Architecture = (typeof architectures)[number];
