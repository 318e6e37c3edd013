import { Command } from 'commander';
import { act } from '../../frame.ts';
import { collect } from '../options.ts';
import { later, placesHelp, withRegistry } from './options.ts';

export function convertCommand(): Command {
  return withRegistry(new Command('convert').alias('optimize'))
    .description(
      'write an image in another format: EROFS or RAFS beside it, eStargz or zstd:chunked',
    )
    .argument('<source>')
    .argument('<destination>')
    .option('--platform <platform>', 'of an index, only the images for one platform')
    .option('--only', 'write the variants alone, without the originals')
    .option('-f, --format <format>', 'erofs, rafs, estargz or zstd:chunked', 'erofs')
    .option('--prioritize <file>', 'of estargz: a list of paths, whose files come first')
    .option('--digester <name>', 'of chunks of RAFS: blake3 or sha256', 'blake3')
    .option(
      '-z, --compress <name[,level=N]>',
      'lz4, lz4hc, lzma, zstd or deflate; of RAFS zstd, lz4 or none',
    )
    .option('-C, --pcluster-size <bytes>', 'compress to units of so many, up to 1048576')
    .option('-E, --features <names>', 'ztailpacking, fragments, all-fragments, dedupe', collect)
    .option(
      '--trace <file>',
      'what a workload reads (anole image trace): it lies first, and comes ahead',
    )
    .option('--threads <count>', 'that compress (default: one for each core, at most 8)')
    .addHelpText(
      'after',
      `${placesHelp}

The destination is an index of the images as they are, digests unchanged, and for each a variant whose
only layer is an EROFS image of all its files. Readers that do not know EROFS take the original.
What a workload reads lies first in it and comes ahead of readers: by --trace, else what the image's command needs
to start, which are its program, the loader and the libraries that these name. RAFS and eStargz take a trace, too:
the files that it names come ahead.
With --format rafs it has a blob of chunks for each layer, which is the same in all images that have that
layer, and the bootstrap, as Nydus has them.
With --format estargz or zstd:chunked the destination is the image itself, its layers compressed anew in parts
that can be fetched alone, with a table of their files; whoever knows nothing of that reads them as ever.
Each variant is read back and compared with its original, down to every byte, attribute, time and link,
before it is put anywhere. The same image gives the same variant.

Examples:
  anole image convert docker://HOST/web:1.2 docker://HOST/web:1.2-erofs
  anole image convert oci:web oci:web:erofs -z lz4hc -C 65536
  anole image convert oci:web docker://HOST/web:lazy -z zstd -C 65536 -E all-fragments --trace web.trace
  anole image convert docker://HOST/web:1.2 docker://HOST/web:1.2-nydus --format rafs
  anole image convert docker://HOST/web:1.2 docker://HOST/web:1.2-esgz --format estargz
  anole image convert HOST/web:1.2 oci:fast --platform linux/riscv64 --only`,
    )
    .action(act(later(() => import('../../image/convert.ts'), 'convertAction')));
}

export function indexCommand(): Command {
  return withRegistry(new Command('index'))
    .description('make an index of an image, by which its layers are read without unpacking them')
    .argument('<image>')
    .option('--platform <platform>', 'of an index of images, the image to index')
    .option('-f, --format <format>', 'soci, erofs or rafs alone (default: soci and erofs)')
    .option('--span <bytes>', 'decompressed bytes between two places where reading can begin')
    .option('--min-layer <bytes>', 'of SOCI, smaller layers get no index (default: 10485760)')
    .option('--trace <file>', 'what a workload reads, from anole image trace: it is fetched first')
    .option('--bind <destination>', 'write a copy of the image that names its indexes')
    .addHelpText(
      'after',
      `${placesHelp}

Two are made, by reading each layer once, and put beside the image as its referrers. One is that of SOCI, for its own
readers, too: for each layer a table of its files, and places in its compressed data where decompression can begin,
4 MiB apart, or the frames of zstd where there are several. The other is for images that load on demand: names,
attributes and places of all files are one EROFS image, whose devices are the layers, and places where decompression can
begin are 256 KiB apart. --span says otherwise for both. With --format rafs it is an image of Nydus, whose blobs refer to
the layers (gzip ones: zran). Every kind is read by the name indexed:IMAGE.

Who may write to the repository may put others there: a copy made with --bind names its indexes by digest instead (SOCI's
version 2), and loads on demand by its own name.

Examples:
  anole image index docker://HOST/web:1.2
  anole image index HOST/web:1.2 --min-layer 0 --span 1048576
  anole image index docker://HOST/web:1.2 --format rafs
  anole image index docker://HOST/web:1.2 --bind docker://HOST/web:1.2-soci
  anole image diff indexed:docker://HOST/web:1.2 docker://HOST/web:1.2`,
    )
    .action(act(later(() => import('../../image/index.ts'), 'indexAction')));
}

export function planCommand(): Command {
  return withRegistry(new Command('plan'))
    .description('say what storing images in chunks would save, before anything is pushed')
    .argument('<image...>')
    .option('--platform <platform>', 'of an index of images, the image that is meant')
    .option('--chunks <kinds>', 'fixed:BYTES or content:BYTES, several with commas', collect)
    .option('--exact', 'try compression on all chunks, not on a sample')
    .addHelpText(
      'after',
      `${placesHelp}

Each distinct layer is read once. Its files are cut into chunks, of fixed size as RAFS and EROFS have
them or where their content says; equal chunks are stored once in each layer, or once in all (a
dictionary). The bytes are those of the chunks after compression and of what refers to them, beside what
the layers take now. Compression is tried on a sample of the chunks: the figure behind ± holds the true
one 19 times in 20.

Examples:
  anole image plan HOST/web:1.1 HOST/web:1.2 HOST/web:1.3
  anole image plan oci:base oci:web --chunks fixed:65536,content:32768 --json`,
    )
    .action(act(later(() => import('../../image/plan.ts'), 'planAction')));
}

export function referrersCommand(): Command {
  return withRegistry(new Command('referrers'))
    .description('list what was put beside an image: indexes, signatures, bills of materials')
    .argument('<image>')
    .option('--platform <platform>', 'of an index of images, the image that is meant')
    .option('--type <type>', 'only those of one artifact type')
    .addHelpText(
      'after',
      `${placesHelp}

Examples:
  anole image referrers docker://HOST/web:1.2
  anole image referrers oci:web --type application/vnd.amazon.soci.index.v1+json --json`,
    )
    .action(act(later(() => import('../../image/index.ts'), 'referrersAction')));
}

export function appendCommand(): Command {
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
    .action(act(later(() => import('../../image/change.ts'), 'appendAction')));
}

export function commitCommand(): Command {
  return withConfig(withRegistry(new Command('commit')))
    .description('make an image of a sandbox that lives on')
    .argument('<sandbox>', 'name, or beginning of an id')
    .argument('<destination>', 'where the image goes')
    .addHelpText(
      'after',
      `${placesHelp}

The image is the one that the sandbox was made of, with a layer of what was changed: whiteouts for what was
removed, nothing of volumes. Of a sandbox made of a recipe, a directory or an archive, all of its files are
the only layer. The sandbox stands still meanwhile, and goes on.

Examples:
  anole run -d --name web HOST/base:1 -- sleep 1d
  anole exec web sh -c 'apt-get install -y nginx-light'
  anole image commit web localhost/web:dev --cmd '["/usr/sbin/nginx","-g","daemon off;"]'`,
    )
    .action(act(later(() => import('../../image/commit.ts'), 'commitAction')));
}

export function configCommand(): Command {
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
    .action(act(later(() => import('../../image/change.ts'), 'configAction')));
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
