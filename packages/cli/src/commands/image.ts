import { Command } from 'commander';
import { act } from '../frame.ts';
import { inspectAction } from '../image/inspect.ts';
import { collectAction, listAction, removeAction, tagsAction } from '../image/keep.ts';
import { loginAction, logoutAction } from '../image/login.ts';
import { copyAction, pullAction, pushAction } from '../image/transfer.ts';
import { unpackAction } from '../image/unpack.ts';

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
    .description('pull, push, copy and inspect container images, without root or a daemon')
    .addCommand(pullCommand())
    .addCommand(pushCommand())
    .addCommand(copyCommand())
    .addCommand(listCommand())
    .addCommand(tagsCommand())
    .addCommand(inspectCommand())
    .addCommand(unpackCommand())
    .addCommand(removeCommand())
    .addCommand(collectCommand())
    .addCommand(loginCommand())
    .addCommand(logoutCommand());
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
    .action(act(pullAction));
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
    .action(act(pushAction));
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
    .action(act(copyAction));
}

function listCommand(): Command {
  return subcommand('ls')
    .description('list the images of this computer')
    .addHelpText('after', '\nExamples:\n  anole image ls\n  anole image ls --json')
    .action(act(listAction));
}

function tagsCommand(): Command {
  return withRegistry(new Command('tags'))
    .description('list the tags of a repository in its registry')
    .argument('<name>', 'HOST/NAME')
    .addHelpText('after', '\nExample:\n  anole image tags HOST/team/web')
    .action(act(tagsAction));
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
    .action(act(inspectAction));
}

function unpackCommand(): Command {
  return withRegistry(new Command('unpack'))
    .description("write the files of an image to a directory, or its root file system's tar")
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
    .action(act(unpackAction));
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
    .action(act(removeAction));
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
    .action(act(collectAction));
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
    .action(act(loginAction));
}

function logoutCommand(): Command {
  return subcommand('logout')
    .description('forget the login for a registry')
    .argument('<host>')
    .addHelpText('after', '\nExample:\n  anole image logout HOST')
    .action(act(logoutAction));
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

function subcommand(name: string): Command {
  return new Command(name)
    .option('--json', 'print results as JSON')
    .option('-q, --quiet', 'no progress')
    .option('--verbose', 'print stacks of errors');
}
