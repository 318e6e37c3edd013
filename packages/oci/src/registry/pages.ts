/** The address of the next page of a list (RFC 8288), undefined on the last and where it leads away. */
export function nextPage(link: string | undefined, base: URL): URL | undefined {
  const found = /<([^>]{1,4096})>\s*;\s*rel="?next"?/.exec(link ?? '');
  if (!found || !URL.canParse(found[1]!, base.href)) return undefined;
  const url = new URL(found[1]!, base);
  return url.origin === base.origin ? url : undefined;
}
