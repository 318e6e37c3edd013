export interface PageParts {
  /** What the user asked for. */
  readonly image: string;
  readonly stylesheet: string;
  readonly script: string;
}

/** The page: a line that tells how it goes, and a terminal. */
export function pageText({ image, stylesheet, script }: PageParts): string {
  const name = image.replace(/[&<>"]/g, (unit) => `&#${unit.charCodeAt(0)};`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>anole: ${name}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${stylesheet}">
<style>
  :root { color-scheme: dark; }
  body { margin: 0; height: 100vh; display: flex; flex-direction: column; background: #14181b;
    color: #cfd6da; font: 14px/1.5 system-ui, sans-serif; }
  header { display: flex; gap: 1.5em; align-items: baseline; padding: .5em 1em; background: #1f262b; }
  h1 { margin: 0; font-size: 1.05em; font-weight: 600; color: #8fd19e; }
  #status { flex: 1; }
  #figures { font-variant-numeric: tabular-nums; color: #8b979e; }
  progress { width: 12em; accent-color: #8fd19e; }
  #terminal { flex: 1; min-height: 0; padding: .5em; }
  .failed { color: #ff9d8a; }
</style>
<header>
  <h1>anole</h1>
  <span id="status" role="status">loading</span>
  <progress id="progress" hidden></progress>
  <span id="figures"></span>
</header>
<main id="terminal" data-image="${name}"></main>
<script type="module" src="${script}"></script>
</html>
`;
}
