import { Command } from 'commander';
import { act } from '../frame.ts';
import { catAction, listAction } from '../fs/list.ts';
import { makeAction } from '../fs/make.ts';
import { statAction } from '../fs/stat.ts';
import { unpackAction } from '../fs/unpack.ts';

/** `anole fs`: EROFS images on this computer. */
export function fsCommand(): Command {
  return new Command('fs')
    .description('make and read EROFS images')
    .addCommand(makeCommand())
    .addCommand(listCommand())
    .addCommand(catCommand())
    .addCommand(unpackCommand())
    .addCommand(statCommand());
}

function makeCommand(): Command {
  return subcommand('mk')
    .description('make an image from a directory or a tar archive')
    .argument('<source>', 'a directory, a tar archive (plain, gzip or zstd), or - for one on stdin')
    .requiredOption('-o, --output <image>', 'the image to make, or - for stdout')
    .option('--name <name>', 'volume name, at most 16 bytes')
    .option('--uuid <uuid>', 'identifier (default: derived from names and attributes)')
    .option('--time <seconds>', 'modification time of everything, in seconds since 1970')
    .option('--block-size <bytes>', 'from 512 to 65536; Linux mounts what fits its pages', '4096')
    .option('--no-xattrs', 'leave extended attributes out')
    .option('--no-inline', 'put no data beside inodes')
    .option('--extended', 'give every inode 64 bytes')
    .option('-z, --compress <name[,level=N]>', 'lz4, lz4hc, zstd or deflate')
    .option('-C, --pcluster-size <bytes>', 'compress to units of so many, up to 1048576')
    .option('-E, --features <names>', 'ztailpacking or fragments', collect)
    .option('--threads <count>', 'that compress (default: one for each core, at most 8)')
    .addHelpText(
      'after',
      `
The same source gives the same image, byte for byte. The image appears whole or not at all.
Files that do not shrink are stored as they are. How many threads compress changes nothing in the image.
Extended attributes of a directory are read by getfattr (Debian's package attr).

Examples:
  anole fs mk rootfs/ -o rootfs.erofs
  docker export web | anole fs mk - -o web.erofs
  anole fs mk layer.tar.gz -o layer.erofs --time 0 --name layer
  anole fs mk rootfs/ -o rootfs.erofs -z lz4hc,level=9 -C 65536 -E ztailpacking
  mount -t erofs rootfs.erofs /mnt`,
    )
    .action(act(makeAction));
}

function listCommand(): Command {
  return subcommand('ls')
    .description('list a directory of an image')
    .argument('<image>')
    .argument('[path]', 'a directory or a file', '/')
    .option('-l, --long', 'with mode, links, owner, size and time')
    .option('-R, --recursive', 'and all directories in it')
    .addHelpText(
      'after',
      `
Examples:
  anole fs ls rootfs.erofs
  anole fs ls -l rootfs.erofs /etc
  anole fs ls -R rootfs.erofs --json`,
    )
    .action(act(listAction));
}

function catCommand(): Command {
  return subcommand('cat')
    .description('print files of an image')
    .argument('<image>')
    .argument('<path...>')
    .addHelpText('after', '\nExample:\n  anole fs cat rootfs.erofs /etc/os-release')
    .action(act(catAction));
}

function unpackCommand(): Command {
  return subcommand('unpack')
    .description('write the files of an image to a directory')
    .argument('<image>')
    .argument('<directory>', 'must not exist or be empty')
    .option('--no-owners', 'let all files belong to you (as without root)')
    .option('--no-xattrs', 'leave extended attributes out')
    .addHelpText(
      'after',
      `
The directory appears whole or not at all. What this computer or you cannot have (devices without
root, and the like) is left out and named.

Example:
  anole fs unpack rootfs.erofs rootfs`,
    )
    .action(act(unpackAction));
}

function statCommand(): Command {
  return subcommand('stat')
    .description('describe an image, or a file in it')
    .argument('<image>')
    .argument('[path]', 'a file; without it, the image itself')
    .addHelpText(
      'after',
      `
Examples:
  anole fs stat rootfs.erofs
  anole fs stat rootfs.erofs /usr/bin/passwd --json`,
    )
    .action(act(statAction));
}

/** Gathers an option that may be given again. */
function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** Takes the options of the whole command after the verb too, where people write them. */
function subcommand(name: string): Command {
  return new Command(name)
    .option('--json', 'print results as JSON')
    .option('-q, --quiet', 'no progress')
    .option('--verbose', 'print stacks of errors');
}
