import { Command } from 'commander';
import { act } from '../../frame.ts';
import { withDiffOptions } from '../../fs/diff-options.ts';
import { subcommand } from '../options.ts';
import { later, placesHelp, withRegistry } from './options.ts';

export function inspectCommand(): Command {
  return withRegistry(new Command('inspect'))
    .description('describe an image, wherever it is')
    .argument('<image>')
    .option('--platform <platform>', 'of an index, the image to describe')
    .option('--raw', 'print the manifest as it is')
    .option('--config', 'print the configuration as it is')
    .addHelpText(
      'after',
      `${placesHelp}

Examples:
  anole image inspect HOST/web:1.2
  anole image inspect docker://HOST/web:1.2 --raw
  anole image inspect oci:web --json`,
    )
    .action(act(later(() => import('../../image/inspect.ts'), 'inspectAction')));
}

export function unpackCommand(): Command {
  return withRegistry(new Command('unpack'))
    .description('write the files of an image to a directory')
    .argument('<image>')
    .argument('<directory>', 'must not exist or be empty')
    .option('--platform <platform>', 'of an index, the image to unpack')
    .option('--no-owners', 'let all files belong to you (as without root)')
    .option('--no-xattrs', 'leave extended attributes out')
    .addHelpText(
      'after',
      `${placesHelp}

The directory appears whole or not at all. What this computer or you cannot have (devices without
root, and the like) is left out and named.

Examples:
  anole image unpack HOST/web:1.2 rootfs
  anole image unpack docker://HOST/web:1.2 rootfs --platform linux/arm64`,
    )
    .action(act(later(() => import('../../image/unpack.ts'), 'unpackAction')));
}

export function checkCommand(): Command {
  return withRegistry(new Command('check'))
    .description('read all of an image and say what is wrong with it')
    .argument('<image>')
    .option('--platform <platform>', 'of an index, only the images for one platform')
    .option('--index', "check the image's index against its layers instead")
    .addHelpText(
      'after',
      `${placesHelp}

Manifests, configurations and layers are compared with their digests and sizes, layers also with the
digests of what they decompress to; and they are applied one upon another, as when they are unpacked.

With --index, each layer that has an index is read through it, all of it: its bytes must give the digest of
the layer, and its table the files that are there.

Exit codes: 0 sound, 1 not sound, 2 could not be looked at.

Examples:
  anole image check HOST/web:1.2 --platform linux/riscv64
  anole image check oci:web --json`,
    )
    .action(
      act(
        later(() => import('../../image/check.ts'), 'checkAction'),
        { failure: 2 },
      ),
    );
}

export function diffCommand(): Command {
  return withDiffOptions(subcommand('diff'))
    .description('compare the files of two images, or of an image and anything else')
    .argument('<a>', 'a container image, an EROFS image, a directory or a tar archive')
    .argument('<b>')
    .addHelpText(
      'after',
      `
Container images are docker://HOST/NAME:TAG, oci:DIRECTORY, oci-archive:FILE, docker-archive:FILE,
oci+https://HOST/PATH, s3://BUCKET/PREFIX, and image:HOST/NAME:TAG for one of this computer. With indexed: before any of them, layers are read through
the image's index, as far as they are compared.

Exit codes: 0 the same, 1 different, 2 could not be compared.

Examples:
  anole image diff image:HOST/web:1.1 image:HOST/web:1.2 --brief
  anole image diff docker://HOST/web:1.2 rootfs/ --times seconds
  anole image diff oci:web web.erofs`,
    )
    .action(
      act(
        later(() => import('../../fs/diff.ts'), 'diffAction'),
        { failure: 2 },
      ),
    );
}
