import { OciError } from '../../errors.ts';

/** A place in a bucket. */
export interface BucketPlace {
  readonly bucket: string;
  /** Without slashes at its ends; '' for all of it. */
  readonly prefix: string;
}

/** A bucket as it is reached. */
export interface Bucket {
  /** The directory that the place is. */
  readonly base: URL;
  readonly region: string;
}

/** Names of buckets. Source: Amazon S3 User Guide, "General purpose buckets naming rules". */
const NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * Where a bucket is: at `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, whose paths begin with buckets' names, else at
 * AWS, in `AWS_REGION`.
 *
 * @throws OciError `OCI_BAD_REFERENCE`, `OCI_BAD_CONFIGURATION`
 */
export function findBucket(
  { bucket, prefix }: BucketPlace,
  environment: Readonly<Record<string, string | undefined>>,
): Bucket {
  if (!NAME.test(bucket)) {
    throw new OciError('OCI_BAD_REFERENCE', `Cannot use ${JSON.stringify(bucket)} as a bucket`);
  }
  const region = environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? 'us-east-1';
  const given = environment['AWS_ENDPOINT_URL_S3'] ?? environment['AWS_ENDPOINT_URL'];
  // A name with dots is not covered by the certificate.
  const isHost = given === undefined && !bucket.includes('.');
  const host = `s3.${region}.amazonaws.com`;
  const endpoint = given ?? `https://${isHost ? `${bucket}.` : ''}${host}`;
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
    throw new OciError(
      'OCI_BAD_CONFIGURATION',
      `Cannot use ${JSON.stringify(endpoint)} as the address of S3`,
    );
  }
  const parts = [...(isHost ? [] : [bucket]), ...(prefix === '' ? [] : prefix.split('/'))];
  const path = parts.map((part) => `${encodeURIComponent(part)}/`).join('');
  return { base: new URL(path, endpoint.endsWith('/') ? endpoint : `${endpoint}/`), region };
}
