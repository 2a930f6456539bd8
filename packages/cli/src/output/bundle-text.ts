import { type Bundle, type BundleStatement, bundleState } from '@selvedge/contract';
import type { Session } from '../session.ts';
import { ageOf, formatBytes, orDash } from './format.ts';
import { renderFields, renderTable } from './table.ts';

function returnedText({ devices }: Bundle['status']): string {
  return `${devices.filter(({ state }) => state === 'returned').length} of ${devices.length}`;
}

export function bundleTable(session: Session, bundles: readonly Bundle[]): string {
  const now = session.io.now();
  const rows = bundles.map((bundle) => [
    bundle.metadata.name,
    session.state(bundleState(bundle, now)),
    bundle.spec.target.slice(0, 60),
    returnedText(bundle.status),
    formatBytes(bundle.spec.sizeBytes),
    bundle.spec.by,
    bundle.spec.expiresAt,
    ageOf(bundle.metadata.createdAt, now),
  ]);
  return renderTable(['BUNDLE', 'STATE', 'DEVICES', 'RETURNED', 'SIZE', 'BY', 'EXPIRES', 'AGE'], rows);
}

/** What the server knows of a bundle. */
export function describeBundle(session: Session, bundle: Bundle): string {
  const { metadata, spec, status } = bundle;
  const now = session.io.now();
  const facts = renderFields([
    ['Bundle', metadata.name],
    ['State', session.state(bundleState(bundle, now))],
    ['Devices', `${spec.target} (${returnedText(status)} returned)`],
    ['Made', `${ageOf(metadata.createdAt, now)} ago by ${spec.by}`],
    ['Expires', spec.expiresAt],
    ['Size', `${formatBytes(spec.sizeBytes)}, ${spec.files} files`],
    ...(status.revoked === null ? [] : [['Revoked', `by ${status.revoked.by} at ${status.revoked.at}`] satisfies [string, string]]),
  ]);
  const revisions = new Map(spec.devices.map(({ device, revision }) => [device, revision]));
  const rows = status.devices.map(({ device, state, returnedAt }) => [
    device,
    orDash(revisions.get(device)?.toString()),
    session.state(state),
    returnedAt === null ? '-' : `${ageOf(returnedAt, now)} ago`,
  ]);
  return `${facts}\n\n${renderTable(['DEVICE', 'REVISION', 'STATE', 'RETURNED'], rows)}`;
}

/** What is in a bundle's file, which was verified. */
export function describeStatement(file: string, statement: BundleStatement, sizeBytes: number): string {
  const { id, authoritySha256, createdAt, expiresAt, devices, content, revoked } = statement;
  const facts = renderFields([
    ['Bundle', id],
    ['File', `${file}, ${formatBytes(sizeBytes)}, every byte verified`],
    ['Server', `authority sha256 ${authoritySha256}`],
    ['Made', createdAt],
    ['Expires', expiresAt],
    ['Revokes', `${revoked.bundles.length} bundles, ${revoked.certificates.length} certificates of devices`],
  ]);
  const size = new Map(content.map((one) => [one.sha256, one.sizeBytes]));
  const rows = devices.map(({ name, desired, content: own }) => [
    name,
    desired.revision.toString(),
    desired.workloads.map((one) => `${one.name}: ${one.model} ${one.version}`).join(', ') || 'nothing to serve',
    formatBytes(own.reduce((sum, sha256) => sum + (size.get(sha256) ?? 0), 0)),
  ]);
  const files = content.map((one) => [one.sha256, formatBytes(one.sizeBytes)]);
  return [facts, renderTable(['DEVICE', 'REVISION', 'SERVES', 'CONTENT'], rows), renderTable(['CONTENT', 'SIZE'], files)].join('\n\n');
}
