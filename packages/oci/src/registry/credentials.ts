/** Who asks: name and password, or a token that an identity provider gave. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly registryToken: string };

/** Looks up credentials for a registry, at each need anew: helpers may renew them. */
export type CredentialProvider = (host: string) => Promise<Credentials | undefined>;

/** `Authorization` of RFC 7617, in UTF-8. */
export function basicAuthorization(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
