import { Command } from 'commander';
import { act } from '../frame.ts';
import { later, withRegistry } from './image/options.ts';

/** `anole containerd`: images on demand for containerd. */
export function containerdCommand(): Command {
  return new Command('containerd')
    .description('have containerd, and Kubernetes, load images on demand')
    .addCommand(pullCommand())
    .addCommand(serveCommand())
    .addCommand(installCommand());
}

function pullCommand(): Command {
  const command = new Command('pull')
    .description('pull an image into containerd, fetching only what is not loaded on demand')
    .argument('<image>', 'HOST/NAME:TAG')
    .option('--address <socket>', 'of containerd', '/run/containerd/containerd.sock')
    .option('--namespace <name>', 'of containerd', 'default')
    .option('--snapshotter <name>', "as containerd's configuration calls it", 'anole')
    .option('--platform <platform>', "such as linux/arm64 (default: this computer's)")
    .addHelpText(
      'after',
      `
'ctr image pull' fetches all layers before it asks the snapshotter, and does not say of which image they are.
This asks first. Kubernetes' pulls (CRI) ask by themselves.

Examples:
  anole containerd pull HOST/team/web:1.2
  ctr run --snapshotter anole --rm HOST/team/web:1.2 web`,
    );
  return withRegistry(command).action(
    act(later(() => import('../containerd/pull.ts'), 'pullAction')),
  );
}

function serveCommand(): Command {
  return new Command('serve')
    .description('be a snapshotter of containerd')
    .option('--socket <path>', 'where to listen', '/run/anole/snapshotter.sock')
    .option('--root <directory>', 'where snapshots are', '/var/lib/anole/snapshotter')
    .option(
      '--images <socket>',
      "the service of images (default: the user's own, which is started)",
    )
    .addHelpText(
      'after',
      `
containerd asks it for each layer of an image. Where the image has a variant that loads on demand beside it
(anole image convert), the layers are there at once: nothing is fetched, and the container stands on the
mounted variant. All other layers are fetched and unpacked by containerd, as ever. Needs root.

It may end at any time: containers go on, and the next one goes on where it was. Mounts are the affair of
the service of images ('anole image serve').

Examples:
  anole containerd serve --images /run/anole/images.sock
  ctr run --snapshotter anole --rm HOST/web:1 web`,
    )
    .action(act(later(() => import('../containerd/serve.ts'), 'serveAction')));
}

function installCommand(): Command {
  return new Command('install')
    .description("write systemd's units and containerd's configuration")
    .option('--print', 'print the files instead')
    .option('--root <directory>', 'write below another directory than /', '/')
    .addHelpText(
      'after',
      `
Writes anole-images.service, anole-snapshotter.service and anole-snapshotter.socket into /etc/systemd/system, and
/etc/containerd/anole.toml, which containerd's own configuration must import.

Examples:
  anole containerd install --print
  anole containerd install && systemctl daemon-reload`,
    )
    .action(act(later(() => import('../containerd/install.ts'), 'installAction')));
}
