/**
 * Folder name of one version of a workload: the version's name with everything unusual replaced, and the first eight
 * digits of the manifest's sha256, so that two packages of one version never share a folder.
 */
export function versionKey(version: string, manifestSha256: string): string {
  const safe = version.replace(/[^A-Za-z0-9_-]+/g, '_').slice(0, 63);
  return `${safe}-${manifestSha256.slice(0, 8)}`;
}
