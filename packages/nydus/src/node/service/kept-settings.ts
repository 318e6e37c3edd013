import { closeSync, readFileSync, writeSync } from 'node:fs';
import { memoryFile } from '@anole/host/native';
import type { Settings } from './settings.ts';

/** Settings in a file in memory, which a holder can have too: passwords belong on no disk. */
export class KeptSettings {
  readonly settings: Settings;
  readonly fd: number;

  private constructor(settings: Settings, fd: number) {
    this.settings = settings;
    this.fd = fd;
  }

  /** @throws HostError */
  static make(settings: Settings): KeptSettings {
    const fd = memoryFile('anole settings', 0);
    writeSync(fd, JSON.stringify(settings));
    return new KeptSettings(settings, fd);
  }

  /** Those that another has made. The descriptor passes to the result. */
  static read(fd: number): KeptSettings {
    // By its name in /proc, so that it is read from its beginning.
    const settings = JSON.parse(readFileSync(`/proc/self/fd/${fd}`, 'utf8')) as Settings;
    return new KeptSettings(settings, fd);
  }

  close(): void {
    closeSync(this.fd);
  }
}
