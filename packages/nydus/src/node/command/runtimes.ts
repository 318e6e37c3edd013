import { viewOf } from '@anole/bytes';
import type { TreeNode } from '@anole/vfs';
import type { ElfPart, PartBounds } from './elf.ts';

/** A file that is opened by name. */
export interface NamedFile {
  /** Where it may be: the first that is there. */
  readonly places: readonly string[];
  /** What of it is read, where that is another part than of any file of its kind. */
  readonly partsOf?: PartsOf | undefined;
  /** Of a library, where they are others than of most. */
  readonly most?: PartBounds;
}

/** Undefined where the file makes no sense. */
type PartsOf = (file: TreeNode) => Promise<readonly ElfPart[] | undefined>;

/** Programs that open files by name whenever they start: nothing that can be read says which. */
interface Runtime {
  /** Paths of its program, without links. Files are relative to the first group. */
  readonly program: RegExp;
  /** @param words other groups */
  opens(...words: readonly string[]): readonly NamedFile[];
}

/** Bytes of what is taken whole, or for an index: beyond that it is something else. */
const MAX_WHOLE = 64 * 1024 * 1024;
/** Of an archive of locales: one that has just C.UTF-8, as containers' have. */
const MAX_LOCALES = 512 * 1024;

const runtimes: readonly Runtime[] = [
  {
    // The loader of glibc: its own list of libraries (ld.so(8)), and what the library opens for setlocale(3), time and users.
    program: /^(.*\/)ld-linux[^/]*\.so\.\d+$/,
    opens: () => [
      at('/etc/ld.so.cache'),
      {
        places: ['locale-archive', 'C.utf8/LC_CTYPE'].map((name) => `/usr/lib/locale/${name}`),
        partsOf: upTo(MAX_LOCALES),
      },
      at('/usr/share/locale/locale.alias'),
      at('gconv/gconv-modules.cache'),
      ...['nsswitch.conf', 'passwd', 'localtime'].map((name) => at(`/etc/${name}`)),
    ],
  },
  {
    // OpenJDK 9 and later. The launcher takes the virtual machine that jvm.cfg says, which is `server` by default; that
    // opens its own libraries, the image of modules (JEP 220) and the archive of classes, all of which it maps (JEP 341).
    program: /^(.*\/)bin\/java$/,
    opens: () => [
      at('lib/jvm.cfg'),
      { places: ['lib/server/libjvm.so'], most: { code: MAX_WHOLE, constants: 0 } },
      at('lib/libjimage.so'),
      at('lib/modules', indexOfModules),
      at('lib/libjava.so'),
      at('lib/server/classes.jsa', upTo(MAX_WHOLE)),
      ...['nio', 'net', 'zip'].map((name) => at(`lib/lib${name}.so`)),
    ],
  },
  {
    // CPython 3. What it has not built in (frozen) and needs before anything else, compiled where that is there (PEP 3147).
    program: /^((?:.*\/)?)bin\/python3\.(\d+)$/,
    opens: (minor = '') => {
      const library = `lib/python3.${minor}`;
      const modules = ['__init__', 'aliases', 'utf_8'].map((name) => ({
        places: [
          `${library}/encodings/__pycache__/${name}.cpython-3${minor}.pyc`,
          `${library}/encodings/${name}.py`,
        ],
      }));
      return [...modules, at(`${library}/sitecustomize.py`)];
    },
  },
];

/** What a program opens by name when it starts, if it is one of those that are known. @param path without links */
export function openedByName(path: string): readonly NamedFile[] {
  for (const { program, opens } of runtimes) {
    const [, home, ...words] = program.exec(path) ?? [];
    if (home === undefined) continue;
    return opens(...words).map((file) => ({
      ...file,
      places: file.places.map((each) => (each.startsWith('/') ? each : home + each)),
    }));
  }
  return [];
}

function at(path: string, partsOf?: PartsOf): NamedFile {
  return { places: [path], partsOf };
}

/** All of a file that is no larger. */
function upTo(most: number): PartsOf {
  return async ({ stat: { size } }) => (size <= most ? [{ offset: 0, length: size }] : undefined);
}

/** Little-endian, as the processors of elf.ts are. Source: OpenJDK, imageFile.hpp, ImageHeader. */
const JIMAGE_MAGIC = 0xcafedada;
const JIMAGE_HEADER = 28;

/** An image of modules begins with tables by which names are found: two of numbers, then places and names. */
async function indexOfModules(file: TreeNode): ReturnType<PartsOf> {
  const { size } = file.stat;
  if (size < JIMAGE_HEADER) return undefined;
  const view = viewOf(await file.read(0, JIMAGE_HEADER));
  if (view.getUint32(0, true) !== JIMAGE_MAGIC) return undefined;
  const [table, places, names] = [16, 20, 24].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
  ];
  const length = JIMAGE_HEADER + 8 * table + places + names;
  return length <= Math.min(size, MAX_WHOLE) ? [{ offset: 0, length }] : undefined;
}
