/** Metrics are named like files where they are points of a run: `mAP@50:95` is `test/map50-95` there. */
export function curveName(metric: string): string {
  const name = metric
    .replace(/([a-z])([A-Z])(?=[a-z0-9])/g, '$1-$2')
    .replaceAll('@', '')
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .toLowerCase();
  return `test/${name}`;
}
