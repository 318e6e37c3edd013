import { serveCrew } from '@anole/host/in-thread';
import { FileCopier } from './file-copier.ts';
import { SourceFiles } from './source-files.ts';
import type { Listings, SourceJob } from './source-job.ts';

const source = new SourceFiles();
const copier = new FileCopier(source);

serveCrew((job: SourceJob): Listings => {
  if (job.kind === 'list') return source.listAll(job.directories);
  copier.copy(job);
  return [];
});
