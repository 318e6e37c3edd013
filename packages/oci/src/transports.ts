/** What names of container images begin with, as skopeo has it. Loads nothing else: for who only looks at a name. */

/** Of layouts on web servers and in S3. */
export const remoteTransports = ['oci+https://', 'oci+http://', 's3://'] as const;

/** Of layouts and archives of this computer, in front of a colon and their paths. */
export const localTransports = ['oci', 'oci-archive', 'docker-archive'] as const;

/** True for text that names a transport: it cannot be meant as a path. */
export function hasTransport(text: string): boolean {
  if (remoteTransports.some((start) => text.startsWith(start))) return true;
  return text.startsWith('docker://') || localTransportOf(text) !== undefined;
}

/** The transport of a layout or archive of this computer, where text names one. */
export function localTransportOf(text: string): (typeof localTransports)[number] | undefined {
  return localTransports.find((each) => text.startsWith(`${each}:`));
}
