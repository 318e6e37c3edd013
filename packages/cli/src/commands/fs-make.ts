import type { Command } from 'commander';
import { act } from '../frame.ts';
import { makeAction } from '../fs/make.ts';
import { collect, subcommand } from './options.ts';

/** `anole fs mk`. */
export function makeCommand(): Command {
  return subcommand('mk')
    .description('make an image of a directory, an archive, a container image or another image')
    .argument(
      '<source>',
      'a directory, a tar archive (plain, gzip, zstd or xz; - on stdin), a container image, an EROFS image',
    )
    .requiredOption('-o, --output <image>', 'the image to make, or - for stdout')
    .option('--offset <bytes>', 'put the image there into the file, whose other bytes stay')
    .option('-L, --name <name>', 'volume name, at most 16 bytes')
    .option(
      '-U, --uuid <uuid>',
      'identifier, clear or random (default: derived from names and attributes)',
    )
    .option('-T, --time <seconds>', 'modification time of everything, in seconds since 1970')
    .option('--all-time', 'let -T be the time of all files (default)')
    .option('--mkfs-time', 'let -T be the time at which the image is made alone')
    .option(
      '-b, --block-size <bytes>',
      'from 512 to 65536, 4096 unless told; Linux mounts what fits its pages',
    )
    .option('--no-xattrs', 'leave extended attributes out')
    .option(
      '-x, --xattr-tolerance <count>',
      'store attributes once that more inodes have; -1 for none at all',
    )
    .option('--all-root', 'let all files belong to root')
    .option('--force-uid <uid>', 'let all files belong to this user')
    .option('--force-gid <gid>', 'let all files belong to this group')
    .option('--uid-offset <offset>', 'to be added to all users')
    .option('--gid-offset <offset>', 'to be added to all groups')
    .option('--exclude-path <path>', 'leave this out, with what is below it', collect)
    .option('--exclude-regex <expression>', 'leave out what matches', collect)
    .option('--hard-dereference', 'let each name of a file be a file of its own')
    .option('--ignore-mtime', 'give no inode 64 bytes for its time alone: it has that of most')
    .option('--preserve-mtime', 'keep times (default)')
    .option('--file-contexts <file>', 'label files for SELinux by this file, and by it alone')
    .option('--mount-point <path>', 'where paths in that file begin (default: /)')
    .option('--xattr-prefix <prefix>', 'store what names of attributes begin with once', collect)
    .option(
      '--xattr-inode-digest [name]',
      'give files an attribute with their SHA-256: Linux 7.0 keeps equal ones in memory once',
    )
    .option('--aufs', 'store marks of aufs (.wh.NAME) as those of overlayfs')
    .option('--ovlfs-strip [switch]', 'store no marks of overlayfs: 1, or 0 (default)')
    .option('--no-inline', 'put no data beside inodes')
    .option('--extended', 'give every inode 64 bytes')
    .option('-z, --compress <name[,level=N]>', 'lz4, lz4hc, lzma, zstd or deflate; see below')
    .option('-C, --pcluster-size <bytes>', 'compress to units of so many, up to 1048576')
    .option('-E, --features <names>', 'by the names of mkfs.erofs, see below', collect)
    .option('-m, --metadata <bytes[:name]>', 'compress metadata to units of so many, see below')
    .option('--zD [switch]', 'compress directories: 1, or 0 (default)')
    .option('--MZ [what]', 'let metadata lie together (always so): i, id')
    .option('--chunksize <bytes>', 'store files in chunks, equal ones once')
    .option('--blobdev <file>', 'put the data of files there, metadata alone into the image')
    .option(
      '--vmdk-desc <file>',
      'write what makes one virtual disk of the image and what is beside it',
    )
    .option('--dsunit <blocks>', 'begin data of files at multiples of so many blocks')
    .option('--fsalignblks <blocks>', 'let the image have a multiple of so many blocks')
    .option('--max-extent-bytes <bytes>', 'let one compressed unit hold no more of a file')
    .option('--sort <order>', 'data of an archive by path, or none: as in the archive')
    .option('--tar <mode>', 'f: copy the files of an archive; i: refer to them where they are')
    .option('--device <file>', 'a device beside an EROFS image that is the source', collect)
    .option('--compress-hints <file>', 'how single files are compressed, see below')
    .option(
      '--reuse <image>',
      'take over compressed data of files that are in this image as they are',
    )
    .option('--incremental [mode]', 'add the source to the image that is there: data, the one mode')
    .option('--clean [mode]', 'make an image of the source alone (default): data, the one mode')
    .option('--threads <count>', 'that compress (default: one for each core, at most 8)')
    .option('--workers <count>', 'the same')
    .addHelpText(
      'after',
      `
The same source gives the same image, byte for byte. The image appears whole or not at all.
Files that do not shrink are stored as they are. How many threads compress changes nothing in the image.
Extended attributes of a directory are read by getfattr (Debian's package attr).
Compressors have options after commas: level=N, dictsize=BYTES (how far lzma and zstd look back), and of lzma
lc, lp and pb=BITS (of the byte before and of its place by which a byte is foreseen: 3, 0, 2); its levels are 0 to 9, and 100 to
109 that search longest. More
of them, separated by colons, are for hints. Lines of hints are: bytes of a unit (0: not compressed),
perhaps the number of a compressor from 0 on, and an expression; the first line whose expression
matches counts.
With -m, inodes, with what lies beside them, are compressed in an inode of their own, by the compressor that is
named, or whose number among those of -z is, or by the first of -z (from Linux 6.17 on). -m alone, with a
compressor, leaves files as they are.
With --reuse, files that have the same path and content in that image are not compressed again, where
the same options made it.
Features: ztailpacking (ends of compressed files beside their inodes), fragments or fragments=BYTES
(ends and small files in one inode, compressed to units of so many), all-fragments (all files there),
dedupe (what files have in common once), noinline_data, force-inode-extended, force-inode-compact (32
bytes for all, no times of their own), 48bit (32 bytes and seconds of their own, from Linux 6.15 on),
dot-omitted (and directories that do not list themselves), force-chunk-indexes (addresses of 8 bytes),
nosbcrc (no checksum of the superblock).
With --incremental, the new image holds the files of the old one and of the source, which counts where
both have one; compressed data are taken over. Until it is whole, the old one stays.
Lines of --file-contexts are an expression for whole paths, perhaps a type (--, -d, -l, -c, -b, -p, -s) and a
label, or <<none>>: paths count before expressions, later lines before earlier ones.
Images with prefixes of attributes are read by Linux from 6.4 on, and by erofs-utils from 1.7 on.
An image with --blobdev is mounted with the other file as device=. With --tar i, that is the archive,
uncompressed: nothing of it is copied. --vmdk-desc names both as they are: each must have a multiple of 512 bytes.
Options that mkfs.erofs has too have its names. Paths and expressions are of paths in the source,
without a leading slash. Expressions have no references back and no looks around: time to match them stays linear.

Examples:
  anole fs mk rootfs/ -o rootfs.erofs
  anole fs mk rootfs/ -o rootfs.erofs --all-root --exclude-path var/cache --exclude-regex '\\.pyc$'
  docker export web | anole fs mk - -o web.erofs
  anole fs mk layer.tar.gz -o layer.erofs --time 0 --name layer
  anole fs mk rootfs/ -o rootfs.erofs -z lz4hc,level=9 -C 65536 -E ztailpacking
  anole fs mk rootfs/ -o rootfs.erofs -z lz4hc:lzma,level=9 -C 65536 --compress-hints hints
  anole fs mk rootfs/ -o rootfs.erofs -z lz4hc -C 65536 -m 4096:zstd --zD
  anole fs mk image:debian -o debian.erofs -z zstd -C 65536
  anole fs mk rootfs/ -o bootstrap.erofs --chunksize 1048576 --blobdev data.blob
  anole fs mk rootfs/ -o new.erofs -z lzma -C 65536 --reuse old.erofs
  anole fs mk layer.tar -o index.erofs --tar i
  anole fs mk more/ -o rootfs.erofs -z zstd --incremental=data
  anole fs mk system/ -o system.erofs --file-contexts file_contexts --mount-point /system
  mount -t erofs rootfs.erofs /mnt`,
    )
    .action(act(makeAction));
}
