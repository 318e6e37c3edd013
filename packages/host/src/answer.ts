import { AnoleError, type Awaitable } from '@anole/bytes';

/** What a thread answers: what came of a job, or an error as plain data. */
export type Answer<Done> =
  | { readonly done: Done }
  | {
      readonly code: string | undefined;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
      readonly hint: string | undefined;
    };

/** Runs a job, to answer for it. */
export async function attempt<Done>(run: () => Awaitable<Done>): Promise<Answer<Done>> {
  try {
    return { done: await run() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (AnoleError.is(error)) {
      const { code, details, hint } = error;
      return { code, message, details, hint };
    }
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    return { code, message, details: {}, hint: undefined };
  }
}

/** The error that an answer tells of. */
export function errorOf({ code, message, details, hint }: Exclude<Answer<never>, { done: never }>) {
  if (code?.includes('_')) return new AnoleError(code, message, { details, ...(hint && { hint }) });
  // As Node raises it: who called makes an error with a code of it.
  return Object.assign(new Error(message), { code });
}
