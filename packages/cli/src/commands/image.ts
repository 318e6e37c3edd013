import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { act } from '../frame.ts';
import { withDiffOptions } from '../fs/diff-options.ts';
import { collect, subcommand } from './options.ts';

const placesHelp = `
Where an image is:
  HOST/NAME:TAG              on this computer
  docker://HOST/NAME:TAG     in its registry
  oci:DIRECTORY[:TAG]        in a layout on disk
  oci-archive:FILE[:TAG]     in a layout in a tar archive
  docker-archive:FILE[:NAME:TAG]  in what docker save writes`;

/** `anole image`: OCI images. */
export function imageCommand(): Command {
  return new Command('image')
    .description('pull, push, convert, check and change container images, without root or a daemon')
    .addCommand(pullCommand())
    .addCommand(pushCommand())
    .addCommand(copyCommand())
    .addCommand(listCommand())
    .addCommand(tagsCommand())
    .addCommand(inspectCommand())
    .addCommand(checkCommand())
    .addCommand(diffCommand())
    .addCommand(convertCommand())
    .addCommand(appendCommand())
    .addCommand(configCommand())
    .addCommand(unpackCommand())
    .addCommand(removeCommand())
    .addCommand(collectCommand())
    .addCommand(loginCommand())
    .addCommand(logoutCommand());
}

type Handler = (context: CommandContext, ...args: never[]) => Promise<number>;

/** A handler whose code is loaded when it is called: pulling need not know how to convert. */
function later<N extends string>(load: () => Promise<Record<N, Handler>>, name: N): Handler {
  return async (context, ...args) => (await load())[name](context, ...args);
}

function pullCommand(): Command {
  return withRegistry(new Command('pull'))
    .description('get an image from its registry and keep it on this computer')
    .argument('<name>', 'HOST/NAME:TAG or HOST/NAME@DIGEST')
    .option('--platform <platform>', 'such as linux/arm64 (default: linux/riscv64, else yours)')
    .option('-a, --all', 'for all platforms')
    .addHelpText(
      'after',
      `
What a broken download has left is continued. Content is checked against its digests; what is here
already is not fetched again. Mirrors, certificates and short names are those of registries.conf and
certs.d, logins those of docker and podman.

Examples:
  anole image pull HOST/team/web:1.2
  anole image pull HOST/team/web:1.2 --platform linux/amd64
  anole image pull localhost:5000/web --insecure`,
    )
    .action(act(later(() => import('../image/transfer.ts'), 'pullAction')));
}

function pushCommand(): Command {
  return withRegistry(new Command('push'))
    .description('put an image of this computer into a registry')
    .argument('<name>', 'the image, HOST/NAME:TAG')
    .argument('[destination]', 'another name to give it there, HOST/NAME:TAG')
    .option('--platform <platform>', 'only the image for one platform')
    .addHelpText(
      'after',
      `
What the registry has is not sent again. The digest does not change.

Examples:
  anole image push HOST/team/web:1.2
  anole image push localhost/web:dev HOST/team/web:1.3`,
    )
    .action(act(later(() => import('../image/transfer.ts'), 'pushAction')));
}

function copyCommand(): Command {
  return withRegistry(new Command('copy'))
    .description('copy an image from any place to any other')
    .argument('<source>')
    .argument('<destination>')
    .option('--platform <platform>', 'only the image for one platform (default: all)')
    .addHelpText(
      'after',
      `${placesHelp}

Examples:
  anole image copy docker://HOST/web:1.2 oci:web
  anole image copy oci-archive:web.tar docker://HOST/web:1.2
  anole image copy docker-archive:saved.tar localhost/web:dev
  anole image copy HOST/web:1.2 docker-archive:web.tar:web:1.2 --platform linux/amd64`,
    )
    .action(act(later(() => import('../image/transfer.ts'), 'copyAction')));
}

function listCommand(): Command {
  return subcommand('ls')
    .description('list the images of this computer')
    .addHelpText('after', '\nExamples:\n  anole image ls\n  anole image ls --json')
    .action(act(later(() => import('../image/keep.ts'), 'listAction')));
}

function tagsCommand(): Command {
  return withRegistry(new Command('tags'))
    .description('list the tags of a repository in its registry')
    .argument('<name>', 'HOST/NAME')
    .addHelpText('after', '\nExample:\n  anole image tags HOST/team/web')
    .action(act(later(() => import('../image/keep.ts'), 'tagsAction')));
}

function inspectCommand(): Command {
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
    .action(act(later(() => import('../image/inspect.ts'), 'inspectAction')));
}

function unpackCommand(): Command {
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
    .action(act(later(() => import('../image/unpack.ts'), 'unpackAction')));
}

function checkCommand(): Command {
  return withRegistry(new Command('check'))
    .description('read all of an image and say what is wrong with it')
    .argument('<image>')
    .option('--platform <platform>', 'of an index, only the images for one platform')
    .addHelpText(
      'after',
      `${placesHelp}

Manifests, configurations and layers are compared with their digests and sizes, layers also with the
digests of what they decompress to; and they are applied one upon another, as when they are unpacked.

Exit codes: 0 sound, 1 not sound, 2 could not be looked at.

Examples:
  anole image check HOST/web:1.2 --platform linux/riscv64
  anole image check oci:web --json`,
    )
    .action(
      act(
        later(() => import('../image/check.ts'), 'checkAction'),
        { failure: 2 },
      ),
    );
}

function diffCommand(): Command {
  return withDiffOptions(subcommand('diff'))
    .description('compare the files of two images, or of an image and anything else')
    .argument('<a>', 'a container image, an EROFS image, a directory or a tar archive')
    .argument('<b>')
    .addHelpText(
      'after',
      `
Container images are docker://HOST/NAME:TAG, oci:DIRECTORY, oci-archive:FILE, docker-archive:FILE, and
image:HOST/NAME:TAG for one of this computer.

Exit codes: 0 the same, 1 different, 2 could not be compared.

Examples:
  anole image diff image:HOST/web:1.1 image:HOST/web:1.2 --brief
  anole image diff docker://HOST/web:1.2 rootfs/ --times seconds
  anole image diff oci:web web.erofs`,
    )
    .action(
      act(
        later(() => import('../fs/diff.ts'), 'diffAction'),
        { failure: 2 },
      ),
    );
}

function convertCommand(): Command {
  return withRegistry(new Command('convert'))
    .description('put an EROFS variant of an image beside it')
    .argument('<source>')
    .argument('<destination>')
    .option('--platform <platform>', 'of an index, only the images for one platform')
    .option('--only', 'write the variants alone, without the originals')
    .option('-z, --compress <name[,level=N]>', 'lz4, lz4hc, zstd or deflate')
    .option('-C, --pcluster-size <bytes>', 'compress to units of so many, up to 1048576')
    .option('-E, --features <names>', 'ztailpacking or fragments', collect)
    .option('--threads <count>', 'that compress (default: one for each core, at most 8)')
    .addHelpText(
      'after',
      `${placesHelp}

The destination is an index of the images as they are, digests unchanged, and for each a variant whose
only layer is an EROFS image of all its files. Readers that do not know EROFS take the original.
Each variant is read back and compared with its original, down to every byte, attribute, time and link,
before it is put anywhere. The same image gives the same variant.

Examples:
  anole image convert docker://HOST/web:1.2 docker://HOST/web:1.2-erofs
  anole image convert oci:web oci:web:erofs -z lz4hc -C 65536
  anole image convert HOST/web:1.2 oci:fast --platform linux/riscv64 --only`,
    )
    .action(act(later(() => import('../image/convert.ts'), 'convertAction')));
}

function appendCommand(): Command {
  return withConfig(withRegistry(new Command('append')))
    .description('put layers upon an image')
    .argument('<image>')
    .argument('<layer...>', 'each a directory, a tar archive or an EROFS image')
    .requiredOption('-t, --to <destination>', 'where the new image goes')
    .addHelpText(
      'after',
      `${placesHelp}

A file named .wh.NAME in a layer removes NAME of the layers below.

Examples:
  anole image append HOST/base:1 ./site -t localhost/web:dev --cmd '["/bin/httpd","-f"]'
  anole image append oci:base files.tar -t docker://HOST/web:1.3`,
    )
    .action(act(later(() => import('../image/change.ts'), 'appendAction')));
}

function configCommand(): Command {
  return withConfig(withRegistry(new Command('config')))
    .description('change how commands of an image run')
    .argument('<image>')
    .argument('<destination>', 'where the changed image goes')
    .addHelpText(
      'after',
      `${placesHelp}

Examples:
  anole image config HOST/web:1.2 localhost/web:dev -e DEBUG=1 --workdir /srv
  anole image config oci:web oci:web:quiet --entrypoint '' --cmd '["/bin/true"]'`,
    )
    .action(act(later(() => import('../image/change.ts'), 'configAction')));
}

function withConfig(command: Command): Command {
  return command
    .option('--platform <platform>', 'of an index, the image to change')
    .option('-e, --env <NAME=VALUE>', 'set a variable', collect)
    .option('--label <NAME=VALUE>', 'set a label', collect)
    .option('--entrypoint <words>', "a JSON list, or a line for the shell; '' for none")
    .option('--cmd <words>', "a JSON list, or a line for the shell; '' for none")
    .option('--workdir <directory>', 'working directory')
    .option('--user <user[:group]>', 'who runs commands')
    .option('--stop-signal <name>', 'what asks the command to end');
}

function removeCommand(): Command {
  return subcommand('rm')
    .description('take names of images away from this computer')
    .argument('<name...>')
    .addHelpText(
      'after',
      `
Content that no name leads to any more goes with anole image gc.

Example:
  anole image rm HOST/web:1.1 && anole image gc`,
    )
    .action(act(later(() => import('../image/keep.ts'), 'removeAction')));
}

function collectCommand(): Command {
  return subcommand('gc')
    .description('free what no image of this computer needs')
    .option('-n, --dry-run', 'say what would go')
    .addHelpText(
      'after',
      `
Waits for pulls and runs that have just begun; never takes what a name leads to.

Examples:
  anole image gc --dry-run
  anole image gc`,
    )
    .action(act(later(() => import('../image/keep.ts'), 'collectAction')));
}

function loginCommand(): Command {
  return withRegistry(new Command('login'))
    .description('keep the login for a registry, after trying it')
    .argument('<host>', 'the registry, with its port where it has one')
    .option('-u, --username <name>')
    .option('--password-stdin', 'read the password from standard input')
    .addHelpText(
      'after',
      `
Logins are kept where docker keeps them: with a credential helper where one is configured, else in
its config.json (or in REGISTRY_AUTH_FILE), which only you can read.

Examples:
  anole image login HOST -u me
  pass registry | anole image login HOST -u me --password-stdin`,
    )
    .action(act(later(() => import('../image/login.ts'), 'loginAction')));
}

function logoutCommand(): Command {
  return subcommand('logout')
    .description('forget the login for a registry')
    .argument('<host>')
    .addHelpText('after', '\nExample:\n  anole image logout HOST')
    .action(act(later(() => import('../image/login.ts'), 'logoutAction')));
}

function withRegistry(command: Command): Command {
  return command
    .option('--insecure', 'take plain HTTP, and certificates that nobody knows')
    .option(
      '--cert-dir <directory>',
      'certificates: *.crt of authorities, *.cert and *.key of yours',
    )
    .option('--json', 'print results as JSON')
    .option('-q, --quiet', 'no progress')
    .option('--verbose', 'print stacks of errors');
}
