import type { Device, GateResult, ModelVersion, Package, Task } from '@selvedge/contract';
import { parseCriteria } from './criteria.ts';
import { evaluateGates, type GateFacts, parseGates } from './gates.ts';
import { chooseNative } from './native-choice.ts';
import type { GateReport } from './placement.ts';

/** What is known of a version on these devices: its metrics, its packages, and their newest measurements. */
function gateFacts(version: ModelVersion, packages: readonly Package[], devices: readonly Device[]): GateFacts {
  const { model, version: number, metrics, evaluations } = version.spec;
  const chosen = new Map<string, Package>();
  for (const device of devices) {
    const one = chooseNative(packages, device);
    if (one !== undefined) chosen.set(device.metadata.name, one);
  }
  const benchmarks = [...chosen].flatMap(([device, { status }]) =>
    status.benchmarks.filter((benchmark) => benchmark.device === device && benchmark.archiveSha256 === status.archive?.sha256),
  );
  return {
    reference: `${model}:${number}`,
    metrics,
    evaluations,
    benchmarks,
    packages: chosen.size > 0 ? [...new Set(chosen.values())] : packages,
  };
}

/** How a version does by the constraints of its task on these devices; undefined when the task has none to check. */
export function gateReport(
  version: ModelVersion,
  task: Task | undefined,
  packages: readonly Package[],
  devices: readonly Device[],
): GateReport | undefined {
  if (task === undefined) return undefined;
  const { gates, issues } = parseGates(task.spec.constraints);
  if (gates.length === 0 && issues.length === 0) return undefined;
  return { results: evaluateGates(gates, gateFacts(version, packages, devices)), issues };
}

/** How a version does by the metrics that its task's evaluation criteria name, with a bound or without; undefined for none. */
export function scoreCriteria(version: ModelVersion, task: Task): GateResult[] | undefined {
  const { gates } = parseCriteria(task.spec.evaluation_criterias);
  return gates.length === 0 ? undefined : evaluateGates(gates, gateFacts(version, [], []));
}
