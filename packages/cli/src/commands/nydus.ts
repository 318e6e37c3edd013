import { Command } from 'commander';
import { act } from '../frame.ts';
import { checkAction } from '../nydus/check.ts';
import { createAction } from '../nydus/create.ts';
import { inspectAction, statAction } from '../nydus/describe.ts';
import { generateAction } from '../nydus/dictionary.ts';
import { mergeAction } from '../nydus/merge.ts';
import { compactAction, exportAction, unpackAction } from '../nydus/outputs.ts';

/** `anole nydus`: RAFS images, with the words of nydus-image. */
export function nydusCommand(): Command {
  return new Command('nydus')
    .description('make, merge, check and export RAFS images, the format of Nydus')
    .addCommand(createCommand())
    .addCommand(mergeCommand())
    .addCommand(checkCommand())
    .addCommand(inspectCommand())
    .addCommand(statCommand())
    .addCommand(unpackCommand())
    .addCommand(compactCommand())
    .addCommand(exportCommand())
    .addCommand(chunkdictCommand())
    .addHelpText(
      'after',
      `
Where a command takes <bootstrap>, that is a bootstrap of RAFS v5 or v6, or a blob that holds one. Blobs
are files that have their names, looked for beside it and in blobs/ there, or where -D says.
anole fs reads such images, too; anole image convert --format rafs makes them of container images.`,
    );
}

function createCommand(): Command {
  return subcommand('create')
    .description('make an image: a bootstrap, and a blob of its data')
    .argument('<source>', 'a directory, a tar archive, an image of any kind, or - for tar on stdin')
    .option('-t, --type <type>', "of nydus-image's: targz-ref leaves the data in the archive")
    .option('-B, --bootstrap <file>', 'the bootstrap to make')
    .requiredOption('-D, --blob-dir <directory>', 'where the blob goes, under its digest')
    .option('-c, --compressor <name>', 'none, lz4_block or zstd', 'zstd')
    .option('--level <number>', 'of zstd', '3')
    .option('-g, --digester <name>', 'blake3 or sha256', 'blake3')
    .option('--chunk-size <bytes>', 'a power of two from 4096 to 16777216', '0x100000')
    .option('--batch-size <bytes>', 'compress small files together, up to so many', '0')
    .option('-M, --chunk-dict <bootstrap>', 'do not store again what this image has', collect)
    .option('--parent-bootstrap <file>', 'an image that the new one lies over')
    .option('--whiteout-spec <kind>', 'what removes parts of it: oci, overlayfs or none', 'oci')
    .option('--blob-inline-meta', 'put the bootstrap into the blob, too')
    .option('--no-toc', 'no table of contents at the end of the blob')
    .option(
      '-P, --prefetch-files <file>',
      'paths that will be wanted first, one on a line; - for stdin',
    )
    .option('-E, --encrypt', 'by AES-128-XTS, with a key that the bootstrap holds')
    .option('--no-xattrs', 'leave extended attributes out')
    .addHelpText(
      'after',
      `
The same source and options give the same bytes. The kernel mounts the bootstrap as EROFS, with the blob
decoded as its device; anole nydus export makes one disk of both.

What the source is, is seen, so of the types dir-rafs, tar-rafs, targz-rafs and estargz-rafs none need be
told. With --parent-bootstrap, what is made is both images, one over the other; blobs of the parent are
referred to. targz-ref reads a tar archive that gzip has compressed, and writes no data: places in the archive at which
decompression can begin, and chunks with SHA-256. Whoever reads the image needs the archive too, as a blob that is
named by its digest.

Examples:
  anole nydus create rootfs/ -B rootfs.boot -D blobs/
  anole nydus create layer.tar.gz --type targz-ref -B layer.boot -D blobs/
  anole nydus create layer.tar.gz -B layer.boot -D blobs/ -c lz4_block --chunk-dict base.boot
  anole nydus create changes/ -B web-2.boot -D blobs/ --parent-bootstrap web-1.boot
  anole nydus create oci:web:1.2 -D blobs/ --blob-inline-meta`,
    )
    .action(act(createAction));
}

function mergeCommand(): Command {
  return withBlobs(subcommand('merge'))
    .description('make one bootstrap of those of layers, the lowest first')
    .argument('<bootstrap...>')
    .requiredOption('-B, --bootstrap <file>', 'the bootstrap to make')
    .option('--parent-bootstrap <file>', 'a layer below all others')
    .option(
      '-M, --chunk-dict <bootstrap>',
      'take equal chunks from the blobs of this image',
      collect,
    )
    .addHelpText(
      'after',
      `
A file named .wh.NAME in a layer removes NAME of the layers below. No data are read: blobs need not be
here, but for layers of which the bootstrap does not tell its chunks.

Examples:
  anole nydus merge base.boot app.boot -B web.boot
  anole nydus merge base.boot app.boot -B web.boot --chunk-dict common.boot`,
    )
    .action(act(mergeAction));
}

function checkCommand(): Command {
  return withBlobs(subcommand('check'))
    .description('check an image: structures, tables, every chunk, names of blobs')
    .argument('<bootstrap>')
    .option('--no-data', 'look at tables only')
    .addHelpText(
      'after',
      `
Exit codes: 0 sound, 1 damaged, 2 could not be checked.

Example:
  anole nydus check web.boot -D blobs/ --json`,
    )
    .action(act(checkAction, { failure: 2 }));
}

function inspectCommand(): Command {
  return withBlobs(subcommand('inspect'))
    .description('describe an image and its blobs, or the chunks of a file')
    .argument('<bootstrap>')
    .argument('[path]', 'a file')
    .addHelpText(
      'after',
      `
Examples:
  anole nydus inspect web.boot
  anole nydus inspect web.boot /usr/bin/env --json`,
    )
    .action(act(inspectAction));
}

function statCommand(): Command {
  return withBlobs(subcommand('stat'))
    .description('count files and chunks of images, and what they share')
    .argument('<bootstrap...>')
    .option('-T, --target <bootstrap>', 'another image, and how much of it those have')
    .addHelpText(
      'after',
      `
What -T shows as shared need not be stored where the others are the image's dictionary.

Examples:
  anole nydus stat web-1.boot web-2.boot
  anole nydus stat base.boot --target web.boot --json`,
    )
    .action(act(statAction));
}

function unpackCommand(): Command {
  return withBlobs(subcommand('unpack'))
    .description('write the files of an image to a tar archive')
    .argument('<bootstrap>')
    .requiredOption('-o, --output <archive>', 'or - for stdout')
    .addHelpText('after', '\nExample:\n  anole nydus unpack web.boot -D blobs/ -o - | tar t')
    .action(act(unpackAction));
}

function compactCommand(): Command {
  return withBlobs(subcommand('compact'))
    .description('write what is still used of blobs into a new one')
    .argument('<bootstrap>')
    .requiredOption('-B, --bootstrap <file>', 'the bootstrap to make')
    .option('--output-dir <directory>', 'where the new blob goes (default: the first of -D)')
    .option('--min-used-ratio <percent>', 'of blobs of which less is used; 101 is all', '50')
    .option(
      '-M, --chunk-dict <bootstrap>',
      'take equal chunks from the blobs of this image',
      collect,
    )
    .addHelpText(
      'after',
      `
Blobs are not removed: others may need them. Those that a dictionary refers to are not written anew.

Examples:
  anole nydus compact web.boot -D blobs/ -B compact.boot --min-used-ratio 80
  anole nydus compact web.boot -D blobs/ -B compact.boot --chunk-dict common.boot`,
    )
    .action(act(compactAction));
}

function exportCommand(): Command {
  return withBlobs(subcommand('export'))
    .description('make one disk of an image, which Linux mounts as EROFS')
    .argument('<bootstrap>')
    .requiredOption('-o, --output <disk>')
    .option('--verity', "put dm-verity's hashes behind it, and print the root hash")
    .addHelpText(
      'after',
      `
Examples:
  anole nydus export web.boot -D blobs/ -o web.disk && mount -t erofs web.disk /mnt
  anole nydus export web.boot -D blobs/ -o web.disk --verity`,
    )
    .action(act(exportAction));
}

function chunkdictCommand(): Command {
  return new Command('chunkdict')
    .description('dictionaries: what images have in common')
    .addCommand(generateCommand());
}

function generateCommand(): Command {
  return withBlobs(subcommand('generate'))
    .description('make a dictionary of the chunks that several images have')
    .argument('<bootstrap...>', 'those first whose blobs will stay longest')
    .requiredOption('-B, --bootstrap <file>', 'the dictionary to make')
    .option('--min-images <number>', 'of how many of them a chunk must be (default: 2)')
    .addHelpText(
      'after',
      `
A dictionary is a bootstrap like others, over the blobs that the images have; no data are read or stored. Images
made with it as --chunk-dict refer to these blobs. Where it shall have a blob of its own, compact it:

Examples:
  anole nydus chunkdict generate web-1.boot web-2.boot db-1.boot -B common.boot
  anole nydus compact common.boot -D blobs/ -B dictionary.boot --min-used-ratio 101
  anole nydus create web-3/ -B web-3.boot -D blobs/ --chunk-dict dictionary.boot`,
    )
    .action(act(generateAction));
}

function withBlobs(command: Command): Command {
  return command.option('-D, --blob-dir <directory>', 'where blobs are', collect);
}

/** Gathers an option that may be given again. */
function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function subcommand(name: string): Command {
  return new Command(name)
    .option('--json', 'print results as JSON')
    .option('-q, --quiet', 'no progress')
    .option('--verbose', 'print stacks of errors');
}
