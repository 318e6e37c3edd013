import { ErofsError } from '../errors.ts';

export function cannotStore(path: string, reason: string): ErofsError {
  return new ErofsError('EROFS_CANNOT_STORE', `Cannot store ${path} in an image: ${reason}`, {
    details: { path },
  });
}

export function changed(path: string, what: string): ErofsError {
  return new ErofsError('EROFS_SOURCE_CHANGED', `Cannot store ${path}: ${what}`, {
    details: { path },
    hint: 'the tree changed while it was read: try again when nothing writes to it',
  });
}
