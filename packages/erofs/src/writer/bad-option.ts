import { ErofsError } from '../errors.ts';

export function badOption(option: string, value: unknown, hint: string): ErofsError {
  return new ErofsError('EROFS_BAD_OPTION', `Cannot write an image with ${option} ${value}`, {
    details: { option, value: String(value) },
    hint,
  });
}
