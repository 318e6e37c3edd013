import { Command, Option } from 'commander';
import { act } from '../../frame.ts';
import { later } from './options.ts';

/** `anole image mount`. */
export function mountCommand(): Command {
  return new Command('mount')
    .description('mount an image, whose data come when they are read')
    .argument('<image>', 'docker://HOST/NAME:TAG, oci+https://…, s3://…, or indexed: before them')
    .argument('<directory>')
    .addOption(
      new Option('--kind <kind>', 'how (default: by the kernel where it can)').choices([
        'kernel',
        'fuse',
      ]),
    )
    .option('--platform <platform>', "such as linux/arm64 (default: this computer's)")
    .addOption(
      new Option(
        '--pull <when>',
        'when to ask the registry what a tag stands for (default: always)',
      ).choices(['always', 'missing', 'never']),
    )
    .option(
      '--suid',
      'files may give who runs them the rights of their owner (default: they do not)',
    )
    .option('--dev', 'devices may be opened (default: they may not)')
    .addHelpText(
      'after',
      `
The image is not pulled: what is read of it is fetched, verified and kept. A service does that, which is
started where it is missing ('anole image serve'). Needs root.

Images load on demand as 'anole image convert' writes them: EROFS, RAFS, eStargz, zstd:chunked; and so do those
that name an index ('anole image index --bind'). After 'indexed:' any index will do that lies beside the
image, and layers without one are fetched whole.

  kernel   the kernel's own EROFS reads the cache's file, and waits for what is not there yet (Linux 6.14)
  fuse     the service answers the kernel (any Linux); served with --passthrough, the kernel reads large files
           that were opened twice by itself from then on, decoded, from the cache (Linux 6.9)

What was mounted before is mounted without its registry: by a digest; by a tag with --pull missing, which is then
what it was when it was asked for last, or never, which asks nobody. What has come of it is read, the rest is
an I/O error until the registry is there.

Examples:
  anole image mount docker://HOST/team/web:1.2 /mnt
  anole image mount --pull missing docker://HOST/team/web:1.2 /mnt
  anole image umount /mnt`,
    )
    .action(act(later(load, 'mountAction')));
}

export function unmountCommand(): Command {
  return new Command('umount')
    .description('unmount an image')
    .argument('<directory>')
    .addHelpText('after', '\nExample:\n  anole image umount /mnt')
    .action(act(later(load, 'unmountAction')));
}

export function mountsCommand(): Command {
  return new Command('mounts')
    .description('list mounted images, and how much of them is here')
    .addHelpText('after', '\nExamples:\n  anole image mounts\n  anole image mounts --json')
    .action(act(later(load, 'mountsAction')));
}

export function traceCommand(): Command {
  return new Command('trace')
    .description('note what a command reads of an image, for images that load faster')
    .argument('<image>', 'docker://HOST/NAME:TAG, or an image anywhere else, converted or not')
    .argument('<directory>', 'where it is mounted meanwhile')
    .argument('<command...>', 'what to run, behind --')
    .requiredOption('-o, --output <file>', 'the trace')
    .option('--platform <platform>', "such as linux/arm64 (default: this computer's)")
    .addHelpText(
      'after',
      `
The layers of an image that was not converted are fetched whole. The trace has paths and ranges of files, in
the order of their first reads: it is good for each form and each version of the image that has those files.
An image converted with it has them first, and they are fetched ahead of who reads them. Without root, the command
runs in a user name space, as its root; /dev/fuse must be open to the user.

Examples:
  anole image trace docker://HOST/web /mnt -o web.trace -- chroot /mnt web --version
  anole image convert docker://HOST/web docker://HOST/web:fast -z zstd --trace web.trace`,
    )
    .action(act(later(() => import('../../image/trace.ts'), 'traceAction')));
}

export function serveCommand(): Command {
  return (
    new Command('serve')
      .description('serve images that load on demand (started when it is needed)')
      .argument('[name=image...]', 'images to export, by the names that clients use')
      .option('--socket <path>', "where to listen (default: images.sock beside the daemon's)")
      .option('--cache <directory>', "where to keep what came (default: in anole's cache)")
      .option(
        '--quota <size>',
        'what blobs that nobody uses may take, such as 20G (default: no bound)',
      )
      .option('--platform <platform>', 'of an index of images, the image that is meant')
      .option(
        '--passthrough',
        'through FUSE, let the kernel read large files alone that were opened twice (Linux 6.9)',
      )
      // What is the default by now: services and units of earlier versions say it.
      .addOption(new Option('--no-passthrough').hideHelp())
      .option('--nbd <address>', 'export images as disks over NBD: a socket, PORT or HOST:PORT')
      .option('--http <address>', 'export images to readers of HTTP ranges, such as browsers')
      .option('--log <file>', 'where to log (default: standard error)')
      .addOption(new Option('--kept').hideHelp())
      .addHelpText(
        'after',
        `
A keeper, which holds what mounts stand on, and the service. A service that dies or hangs is started again and
goes on where it was; meanwhile readers wait. Where both were killed, they wait for the next keeper. On SIGTERM
everything is unmounted; an image that is in use is fetched whole and stays.

The log is a line of JSON for each event. A file of --log has 4 MiB at most, and the one before it is beside it
(FILE.1). A service that a command starts logs to images.log beside its socket; 'anole doctor' says where that is.

With --passthrough, all mounts through FUSE share the pages of decoded files, and need no service to read those. But
the service is woken at each open, which costs more than is saved where files are opened again and again; the files
take up to 1 GiB in the cache, beside the quota, until they are evicted as below; and one overlay can stand on such a
mount, not two. 'anole image mounts --json' says which mount does so, and why another does not. Mounts that the
service takes over from one before it go on as they were made.

The socket speaks HTTP: GET /v1/mounts, POST /v1/mounts {image, directory, kind, pull}, DELETE
/v1/mounts?directory=…, GET /v1/cache, POST /v1/cache/evict?quota=BYTES, GET /v1/back-ends, GET and PUT
/v1/limits {quota, rate, retries, stall}, GET and PUT /v1/logins {host, username, password}, DELETE
/v1/logins?host=…, GET /metrics, GET /healthz. On SIGHUP it goes on as the program that is installed by now.

Exports need no root. Each is a disk that is read, and has the image's EROFS; what clients read is fetched.
Whoever reaches a port may read what is exported there, pages of any origin over HTTP too. A service that
exports is one of its own: give it a --socket where another one runs.

Examples:
  anole image serve --quota 20G
  anole image serve --nbd /run/web.sock web=docker://HOST/team/web:1.2
  qemu-system-x86_64 … -drive file=nbd+unix:///web?socket=/run/web.sock,format=raw,readonly=on
  anole image serve --http 8080 web=docker://HOST/team/web:1.2
  curl --unix-socket $XDG_RUNTIME_DIR/anole/images.sock http://localhost/metrics`,
      )
      .action(act(later(load, 'serveAction'), { owns: 'SIGHUP' }))
  );
}

const load = () => import('../../image/service.ts');
