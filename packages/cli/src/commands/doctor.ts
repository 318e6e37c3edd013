import { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { archiveKeyring, mirror } from '../doctor/archive.ts';
import { type Check, type Finding, renderFinding } from '../doctor/check.ts';
import { imageMounts } from '../doctor/images.ts';
import { smcRemote, smcShared } from '../doctor/smc.ts';
import { cache, erofs, fuse, kvm, memory, node, terminal, webAssembly } from '../doctor/system.ts';
import { exitCodes } from '../exit-codes.ts';
import { act } from '../frame.ts';

const checks: readonly Check[] = [
  node,
  webAssembly,
  mirror,
  archiveKeyring,
  cache,
  memory,
  terminal,
  kvm,
  fuse,
  erofs,
  imageMounts,
  smcShared,
  smcRemote,
];

/** `anole doctor`: what this computer offers. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('say what this computer offers and what is missing')
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `
Nothing is changed and nothing is fetched. The exit code is 1 where something is missing that
anole run needs, else 0.

Examples:
  anole doctor
  anole doctor --json`,
    )
    .action(act(doctorAction));
}

async function doctorAction(context: CommandContext): Promise<number> {
  const findings: Finding[] = [];
  for (const check of checks) findings.push(await check());
  if (context.json) context.out(JSON.stringify({ findings }));
  else for (const finding of findings) context.out(renderFinding(finding));
  return findings.some(({ state }) => state === 'missing') ? exitCodes.failure : 0;
}
