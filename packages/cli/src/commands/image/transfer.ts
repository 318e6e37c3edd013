import { Command } from 'commander';
import { act } from '../../frame.ts';
import { subcommand } from '../options.ts';
import { later, placesHelp, withRegistry } from './options.ts';

export function pullCommand(): Command {
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
    .action(act(later(() => import('../../image/transfer.ts'), 'pullAction')));
}

export function pushCommand(): Command {
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
    .action(act(later(() => import('../../image/transfer.ts'), 'pushAction')));
}

export function copyCommand(): Command {
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
    .action(act(later(() => import('../../image/transfer.ts'), 'copyAction')));
}

export function loginCommand(): Command {
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
    .action(act(later(() => import('../../image/login.ts'), 'loginAction')));
}

export function logoutCommand(): Command {
  return subcommand('logout')
    .description('forget the login for a registry')
    .argument('<host>')
    .addHelpText('after', '\nExample:\n  anole image logout HOST')
    .action(act(later(() => import('../../image/login.ts'), 'logoutAction')));
}
