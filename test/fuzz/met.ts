import { AnoleError } from '@anole/bytes';
import type { Finding } from '@anole/erofs';

/** What was met: codes, with the places in our code that raised them or what findings begin with. */
export class Met {
  readonly kinds = new Set<string>();

  async attempt<T>(action: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      if (!AnoleError.is(error)) throw error;
      const frames = [...(error.stack ?? '').matchAll(/\/([\w-]+\.ts:\d+):\d+\)?$/gm)];
      this.kinds.add([error.code, ...frames.slice(0, 4).map(([, place]) => place)].join(' '));
      return undefined;
    }
  }

  finding({ code, message }: Finding): void {
    const words = message.replace(/"(?:[^"\\]|\\.)*"/g, '').match(/[a-z]{3,}/gi) ?? [];
    this.kinds.add(`check ${code} ${words.slice(0, 4).join(' ')}`);
  }
}
