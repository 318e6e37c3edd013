import { setTimeout as pause } from 'node:timers/promises';
import type { Machine, VirtioConsole } from '@anole/machine/runtime';
import { toGuest } from '../agent/wire.ts';
import { writeFrame } from '../client/frames.ts';
import type { AgentLine } from './agent-line.ts';
import type { FileSystems } from './file-systems.ts';
import type { Rehearsal } from './messages.ts';

/** How long the guest's kernel may tidy up: what it does here, no copy has to. */
const settling = 300; // ms

interface Stage {
  readonly machine: Machine;
  readonly files: FileSystems;
  /** Takes what the agent is told. */
  readonly agent: VirtioConsole['ports'][number];
  readonly line: AgentLine;
  readonly hello: Uint8Array;
}

/**
 * Has commands run in a guest that serves nobody yet, and keeps it as a template: what they read and
 * what they made the kernel learn is there for the first command of each sandbox of this image. Not kept
 * where they changed the root.
 */
export async function rehearse(
  { template, payload }: Rehearsal,
  { machine, files: { root }, agent, line, hello }: Stage,
): Promise<void> {
  const { freeBlocks } = await root.tree.usage();
  await agent.write(writeFrame(toGuest.rehearse, 0, payload));
  await line.next();
  await pause(settling);
  if ((await root.tree.usage()).freeBlocks !== freeBlocks) return;
  const state = () => ({ hello, root: root.server.saveState() });
  const { saveTemplate } = await import('./save-template.ts');
  // A full disk, for one: the next sandbox does without, too.
  await saveTemplate(machine, template, state).catch(() => {});
}
