import { join } from 'node:path';

/** The command as users start it with Node: from the bundle, where that is fresh. */
export const anoleProgram = join(import.meta.dirname, '../../packages/cli/bin/anole.js');
