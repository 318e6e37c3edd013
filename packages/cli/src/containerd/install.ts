import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { writeFileAtomically } from '@anole/host';
import type { CommandContext } from '../context.ts';
import { ownCommand } from '../image/service-client.ts';

interface InstallFlags {
  readonly print?: boolean;
  readonly root: string;
}

/** What blobs take of the disk, where nobody says otherwise: some tens of images that nobody uses now. */
const QUOTA = '20G';
/** What the parts say to each other. */
const sockets = { images: '/run/anole/images.sock', snapshotter: '/run/anole/snapshotter.sock' };

export async function installAction(
  { out, err }: CommandContext,
  { print, root }: InstallFlags,
): Promise<number> {
  const files = { ...units(), '/etc/containerd/anole.toml': configuration };
  if (print) {
    out(
      Object.entries(files)
        .flatMap(([path, text]) => [`# ${path}`, text])
        .join('\n'),
    );
    return 0;
  }
  for (const [path, text] of Object.entries(files)) {
    const at = join(resolve(root), path);
    await mkdir(dirname(at), { recursive: true });
    await writeFileAtomically(at, text, { durable: true });
    out(at);
  }
  err(next);
  return 0;
}

const next = `
In /etc/containerd/config.toml, before the first table:
  imports = ["/etc/containerd/anole.toml"]
Then:
  systemctl daemon-reload
  systemctl enable --now anole-images anole-snapshotter
  systemctl restart containerd`;

/** A command as systemd reads it (systemd.service(5), "Command lines"). */
function commandLine(...args: string[]): string {
  return ownCommand(...args)
    .map((word) => word.replaceAll('%', '%%').replaceAll('$', '$$$$'))
    .map((word) => (/[\s"'\\]/.test(word) ? JSON.stringify(word) : word))
    .join(' ');
}

function units(): Readonly<Record<string, string>> {
  const places = ['--socket', sockets.images, '--cache', '/var/lib/anole/blobs'];
  const images = ['image', 'serve', ...places, '--quota', QUOTA];
  const snapshotter = ['containerd', 'serve', '--socket', sockets.snapshotter];
  const common = `# Logins to registries are those of root.
Environment=HOME=/root ANOLE_CACHE=/var/cache/anole
RuntimeDirectory=anole
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
StateDirectory=anole
StateDirectoryMode=0700
CacheDirectory=anole
Restart=always
RestartSec=1`;
  return {
    '/etc/systemd/system/anole-images.service': `[Unit]
Description=Images that load on demand
After=network-online.target
Wants=network-online.target
Before=containerd.service

[Service]
Type=exec
ExecStart=${commandLine(...images)}
${common}
# Goes on as the program that is installed by now; nothing is unmounted.
ExecReload=/bin/kill -HUP $MAINPID
# The keeper is told to stop, and sees to the others. Where it is killed they stay: readers wait for the next
# keeper, which goes on with what they hold.
KillMode=process
# What is in use is fetched whole before the end.
TimeoutStopSec=600
# A service that is killed is started again by its keeper.
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
`,
    '/etc/systemd/system/anole-snapshotter.service': `[Unit]
Description=Snapshotter of containerd for images that load on demand
After=anole-images.service
Wants=anole-images.service
Requires=anole-snapshotter.socket
Before=containerd.service

[Service]
Type=exec
ExecStart=${commandLine(...snapshotter, '--images', sockets.images)}
${common}

[Install]
WantedBy=multi-user.target
`,
    '/etc/systemd/system/anole-snapshotter.socket': `[Unit]
Description=Socket of the snapshotter: calls wait here while it is started again

[Socket]
ListenStream=${sockets.snapshotter}
SocketMode=0600
DirectoryMode=0700

[Install]
WantedBy=sockets.target
`,
  };
}

const configuration = `version = 2

[proxy_plugins.anole]
  type = "snapshot"
  address = "${sockets.snapshotter}"

# Kubernetes: all images by this snapshotter, which must be told of which image a layer is.
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "anole"
  disable_snapshot_annotations = false
`;
