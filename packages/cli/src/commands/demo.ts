import { Command } from 'commander';
import { demoAction } from '../demo/demo.ts';
import { act } from '../frame.ts';

/** `anole demo`: a machine in a page. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('run a machine in a page of your browser')
    .argument('[image]', 'os:NAME, or an EROFS image for riscv64', 'os:base')
    .option('-p, --port <number>', 'listen there (default: a port that is free)')
    .option('-m, --memory <MiB>', 'memory of the guest, from 96', '256')
    .addHelpText(
      'after',
      `
The page has a terminal. The machine runs in it, not here: this command serves the page, a machine
that has booted, and parts of the image as the guest reads them, to this computer only, until
Ctrl-C. Each page is a machine of its own; what it writes is gone with it.

Examples:
  anole demo
  anole demo os:python --memory 512
  anole demo rootfs.erofs --port 8080`,
    )
    .action(act(demoAction));
}
