import { Command } from 'commander';
import { act } from '../../frame.ts';
import { subcommand } from '../options.ts';
import { later, withRegistry } from './options.ts';

export function listCommand(): Command {
  return subcommand('ls')
    .description('list the images of this computer')
    .addHelpText('after', '\nExamples:\n  anole image ls\n  anole image ls --json')
    .action(act(later(() => import('../../image/keep.ts'), 'listAction')));
}

export function tagsCommand(): Command {
  return withRegistry(new Command('tags'))
    .description('list the tags of a repository in its registry')
    .argument('<name>', 'HOST/NAME')
    .addHelpText('after', '\nExample:\n  anole image tags HOST/team/web')
    .action(act(later(() => import('../../image/keep.ts'), 'tagsAction')));
}

export function removeCommand(): Command {
  return subcommand('rm')
    .description('take names of images away from this computer')
    .argument('<name...>')
    .addHelpText(
      'after',
      `
Content that no name leads to any more goes with anole image gc.

Example:
  anole image rm HOST/web:1.1 && anole image gc`,
    )
    .action(act(later(() => import('../../image/keep.ts'), 'removeAction')));
}

export function collectCommand(): Command {
  return subcommand('gc')
    .description('free what no image of this computer needs')
    .option('-n, --dry-run', 'say what would go')
    .addHelpText(
      'after',
      `
Waits for pulls and runs that have just begun; never takes what a name leads to.

Examples:
  anole image gc --dry-run
  anole image gc`,
    )
    .action(act(later(() => import('../../image/keep.ts'), 'collectAction')));
}
