import { Command } from 'commander';
import { act } from '../frame.ts';
import { checkAction } from '../fs/check.ts';
import { diffAction } from '../fs/diff.ts';
import { withDiffOptions } from '../fs/diff-options.ts';
import { duAction } from '../fs/du.ts';
import { dumpAction } from '../fs/dump.ts';
import { catAction, listAction } from '../fs/list.ts';
import { statAction } from '../fs/stat.ts';
import { unpackAction } from '../fs/unpack.ts';
import { makeCommand } from './fs-make.ts';
import { collect, subcommand } from './options.ts';

/** `anole fs`: EROFS images, here or at a URL. */
export function fsCommand(): Command {
  return new Command('fs')
    .description('make, read, check and compare EROFS images')
    .addCommand(makeCommand())
    .addCommand(listCommand())
    .addCommand(catCommand())
    .addCommand(unpackCommand())
    .addCommand(statCommand())
    .addCommand(dumpCommand())
    .addCommand(duCommand())
    .addCommand(checkCommand())
    .addCommand(diffCommand())
    .addHelpText(
      'after',
      `
Where a command takes <image>, that is a file or a URL (http or https) of a server that
gives parts of files: only what is needed is fetched. Images that were made with --blobdev have their
data in other files: --device names them. A bootstrap of RAFS v6 is an image, too, whose blobs are looked for
beside it and in blobs/ there.`,
    );
}

function listCommand(): Command {
  return reading('ls')
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
  return reading('cat')
    .description('print files of an image')
    .argument('<image>')
    .argument('<path...>')
    .addHelpText('after', '\nExample:\n  anole fs cat rootfs.erofs /etc/os-release')
    .action(act(catAction));
}

function unpackCommand(): Command {
  return reading('unpack')
    .description('write the files of an image to a directory')
    .argument('<image>')
    .argument('<directory>', 'must not exist or be empty')
    .option('--path <path>', 'unpack this directory of the image alone')
    .option('--no-owners', 'let all files belong to you (as without root)')
    .option('--no-xattrs', 'leave extended attributes out')
    .addHelpText(
      'after',
      `
The directory appears whole or not at all. What this computer or you cannot have (devices without
root, and the like) is left out and named.

Examples:
  anole fs unpack rootfs.erofs rootfs
  anole fs unpack rootfs.erofs etc --path /etc
  anole fs unpack disk.img rootfs --offset 1048576`,
    )
    .action(act(unpackAction));
}

function statCommand(): Command {
  return reading('stat')
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

function dumpCommand(): Command {
  return reading('dump')
    .description('tell where the bytes of an image go, or where a file lies in it')
    .argument('<image>')
    .argument('[path]', 'a file, to list the extents of')
    .option('--nid <number>', 'list the extents of this inode')
    .option('--top <count>', 'directories and extensions to show', '10')
    .addHelpText(
      'after',
      `
Examples:
  anole fs dump rootfs.erofs
  anole fs dump rootfs.erofs /usr/bin/bash
  anole fs dump rootfs.erofs --json | jq .files.lz4`,
    )
    .action(act(dumpAction));
}

function duCommand(): Command {
  return reading('du')
    .description('sum up what directories take, stored and as files')
    .argument('<image>')
    .argument('[path]', 'a directory or a file', '/')
    .option('-a, --all', 'show files too')
    .option('-s, --summarize', 'show the sum only')
    .option('-d, --depth <levels>', 'show so many levels below')
    .option('-b, --bytes', 'exact numbers')
    .addHelpText(
      'after',
      `
The first column is what the image takes for it, with inodes and without fragments; blocks that
several files share count once. The second is the size of the files.

Examples:
  anole fs du -d 1 rootfs.erofs /usr
  anole fs du -s -b rootfs.erofs`,
    )
    .action(act(duAction));
}

function checkCommand(): Command {
  return reading('check')
    .description('check an image: structures, references, blocks, checksum, data')
    .argument('<image>')
    .option('--no-data', 'do not decode compressed data: read metadata only')
    .option('--limit <count>', 'findings to show; all are counted', '100')
    .option('--xattr-inode-digest', 'compare files with the digests that the image has of them')
    .option('--strict', 'warnings make the exit code 1 too')
    .addHelpText(
      'after',
      `
Exit codes: 0 sound, 1 damaged, 2 could not be checked.

Examples:
  anole fs check rootfs.erofs
  anole fs check rootfs.erofs --json | jq '.findings[] | .path, .meaning'
  anole fs check bootstrap.erofs --device blob --strict`,
    )
    .action(act(checkAction, { failure: 2 }));
}

function diffCommand(): Command {
  return withDiffOptions(subcommand('diff'))
    .description('compare two trees: images, directories or tar archives')
    .argument(
      '<a>',
      'an image, a container image, a directory or a tar archive (plain, gzip, zstd or xz)',
    )
    .argument('<b>')
    .addHelpText(
      'after',
      `
Exit codes: 0 the same, 1 different, 2 could not be compared.

Examples:
  anole fs diff rootfs/ rootfs.erofs
  anole fs diff layer.tar.gz layer.erofs --ignore mtime,owner
  anole fs diff old.erofs new.erofs --brief --exclude /var/cache`,
    )
    .action(act(diffAction, { failure: 2 }));
}

/** A command that reads an image, and what lies on devices beside it. */
function reading(name: string): Command {
  return subcommand(name)
    .option('--offset <bytes>', 'where the image begins in the file')
    .option('--device <file>', 'a device beside the image, in the order of its table', collect);
}
