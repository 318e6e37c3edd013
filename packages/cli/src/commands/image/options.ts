import type { Command } from 'commander';
import type { CommandContext } from '../../context.ts';

export const placesHelp = `
Where an image is:
  HOST/NAME:TAG              on this computer
  docker://HOST/NAME:TAG     in its registry
  oci:DIRECTORY[:TAG]        in a layout on disk
  oci+https://HOST/PATH[:TAG]  in a layout on a web server, read only
  s3://BUCKET/PREFIX[:TAG]   in a layout in a bucket, read only
  oci-archive:FILE[:TAG]     in a layout in a tar archive
  docker-archive:FILE[:NAME:TAG]  in what docker save writes`;

type Handler = (context: CommandContext, ...args: never[]) => Promise<number>;

/** A handler whose code is loaded when it is called: pulling need not know how to convert. */
export function later<N extends string>(load: () => Promise<Record<N, Handler>>, name: N): Handler {
  return async (context, ...args) => (await load())[name](context, ...args);
}

export function withRegistry(command: Command): Command {
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
