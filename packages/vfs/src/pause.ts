/**
 * Lets timers and signals be heard. Trees that answer at once give the event loop no turn however
 * often they are awaited, so long calls take this now and then.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
