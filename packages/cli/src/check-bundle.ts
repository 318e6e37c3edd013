/**
 * Called before a command does anything. Where it runs from a bundle whose sources have changed, this throws what
 * `bin/anole.js` waits for, to go on with these.
 */
export function checkBundle(): void {
  Reflect.get(globalThis, Symbol.for('anole.bundle'))?.check();
}
