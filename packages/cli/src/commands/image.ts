import { Command } from 'commander';
import { collectCommand, listCommand, removeCommand, tagsCommand } from './image/keep.ts';
import { checkCommand, diffCommand, inspectCommand, unpackCommand } from './image/look.ts';
import {
  appendCommand,
  commitCommand,
  configCommand,
  convertCommand,
  indexCommand,
  planCommand,
  referrersCommand,
} from './image/make.ts';
import {
  mountCommand,
  mountsCommand,
  serveCommand,
  traceCommand,
  unmountCommand,
} from './image/mount.ts';
import {
  copyCommand,
  loginCommand,
  logoutCommand,
  pullCommand,
  pushCommand,
} from './image/transfer.ts';

/** `anole image`: OCI images. */
export function imageCommand(): Command {
  return new Command('image')
    .description('pull, push, convert, check and change container images, without root or a daemon')
    .addCommand(pullCommand())
    .addCommand(pushCommand())
    .addCommand(copyCommand())
    .addCommand(listCommand())
    .addCommand(tagsCommand())
    .addCommand(inspectCommand())
    .addCommand(checkCommand())
    .addCommand(diffCommand())
    .addCommand(convertCommand())
    .addCommand(indexCommand())
    .addCommand(referrersCommand())
    .addCommand(planCommand())
    .addCommand(appendCommand())
    .addCommand(configCommand())
    .addCommand(commitCommand())
    .addCommand(unpackCommand())
    .addCommand(mountCommand())
    .addCommand(unmountCommand())
    .addCommand(mountsCommand())
    .addCommand(traceCommand())
    .addCommand(serveCommand())
    .addCommand(removeCommand())
    .addCommand(collectCommand())
    .addCommand(loginCommand())
    .addCommand(logoutCommand());
}
