import type { BrowserStatistics } from '@anole/sandbox/browser';

/** What the page tells the worker that has the machine. */
export type ToWorker =
  | { readonly type: 'start'; readonly columns: number; readonly rows: number }
  | { readonly type: 'input'; readonly bytes: Uint8Array }
  | { readonly type: 'consumed'; readonly bytes: number }
  | { readonly type: 'resize'; readonly columns: number; readonly rows: number };

/** What the worker tells the page. */
export type ToPage =
  | { readonly type: 'progress'; readonly done: number; readonly total: number | undefined }
  | { readonly type: 'started'; readonly milliseconds: number }
  | { readonly type: 'output'; readonly bytes: Uint8Array }
  | { readonly type: 'figures'; readonly figures: BrowserStatistics }
  | { readonly type: 'ended'; readonly code: number }
  | { readonly type: 'failed'; readonly message: string };
