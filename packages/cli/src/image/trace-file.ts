import { readFile } from 'node:fs/promises';
import { hostError } from '@anole/host';
import { parseTrace, type Trace } from '@anole/nydus/node';

/** What a workload reads, as `anole image trace` has put it into a file. @throws HostError, OciError `OCI_BAD_TRACE` */
export async function traceIn(file: string): Promise<Trace> {
  try {
    return parseTrace(await readFile(file));
  } catch (error) {
    throw hostError(error, `read ${file}`);
  }
}
