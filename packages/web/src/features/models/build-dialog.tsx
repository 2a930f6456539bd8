import { type AnyDocument, API_VERSION, type Device, type ModelVersion, packageName } from '@selvedge/contract';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { keys } from '../../lib/cache.ts';
import { plural } from '../../lib/format.ts';
import { targetsOf } from '../../lib/native.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { TargetChoice } from './build-choice.tsx';

type PackageDocument = Extract<AnyDocument, { kind: 'Package' }>;
const PRECISIONS = ['fp32', 'int8', 'fp16', 'auto'] as const;
type PrecisionChoice = (typeof PRECISIONS)[number];
const ENGINES = ['auto', 'xnnpack', 'onnxruntime'] as const;
type EngineChoice = (typeof ENGINES)[number];

const PRECISION_HINTS: Record<PrecisionChoice, string> = {
  fp32: 'as trained',
  int8: 'small and fast; calibrated on the training data',
  fp16: 'where the processor has it, else fp32',
  auto: 'the fastest that loses at most half a point',
};
const ENGINE_HINTS: Record<EngineChoice, string> = {
  auto: 'xnnpack where it knows every operator',
  xnnpack: 'one static file; fails on an unknown operator',
  onnxruntime: 'any model; a larger package',
};

/** Chooses a version, targets and precision, and applies a Package for each target. */
export function BuildDialog({
  model,
  versions,
  onClose,
}: {
  model: string;
  versions: readonly ModelVersion[];
  onClose: () => void;
}): ReactNode {
  const { client } = useBackend();
  const { say } = useToasts();
  const devices = useList('Device');
  const targets = useQuery({ queryKey: keys.targets, queryFn: async ({ signal }) => (await client.listTargets({ signal })).items });
  const [version, setVersion] = useState(versions[0]?.spec.version ?? '');
  const [picked, setPicked] = useState<readonly string[]>();
  const [precision, setPrecision] = useState<PrecisionChoice>('fp32');
  const [engine, setEngine] = useState<EngineChoice>('auto');
  const online = devicesPerTarget(devices.data ?? []);
  const installed = (targets.data ?? []).filter((target) => target.installed).map(({ name }) => name);
  const used = installed.filter((name) => online.has(name));
  const chosen = picked ?? (used.length > 0 ? used : installed);
  const apply = useMutation({
    mutationFn: () => client.apply({ body: { documents: documentsOf(model, version, chosen, { precision, engine }) } }),
    onSuccess: ({ results }) => {
      onClose();
      const changed = results.filter((result) => result.action !== 'unchanged').length;
      if (changed === 0) say(`${plural(results.length, 'package')} of ${model} ${version} were asked for already.`, 'idle');
      else say(`${plural(changed, 'package')} of ${model} ${version} will be built.`, 'busy');
    },
  });
  const toggle = (name: string) => setPicked(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name]);
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title={`Build ${model}`}
      description="Makes one executable per target of the model and its processing. Devices of the target take it up by themselves."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" icon="model" busy={apply.isPending} disabled={chosen.length === 0} onClick={() => apply.mutate()}>
            Build
          </Button>
        </>
      }
    >
      <div className="grid gap-3 pb-2">
        <div className="grid gap-x-4 gap-y-2 sm:grid-cols-3">
          <SelectField label="Version" value={version} onChange={(event) => setVersion(event.target.value)}>
            {versions.map(({ spec }) => (
              <option key={spec.version}>{spec.version}</option>
            ))}
          </SelectField>
          <ChoiceField label="Precision" choices={PRECISIONS} hints={PRECISION_HINTS} value={precision} onChange={setPrecision} />
          <ChoiceField label="Engine" choices={ENGINES} hints={ENGINE_HINTS} value={engine} onChange={setEngine} />
        </div>
        <QueryView query={targets} label="targets" rows={3}>
          {(data) => <TargetChoice targets={data} devices={online} chosen={chosen} onToggle={toggle} />}
        </QueryView>
        <CodeBlock code={commandOf(model, version, chosen, { precision, engine })} label="The same from a terminal" />
        {apply.isError && (
          <div className="-mx-4">
            <ErrorState error={apply.error} />
          </div>
        )}
      </div>
    </Dialog>
  );
}

function ChoiceField<T extends string>({
  label,
  choices,
  hints,
  value,
  onChange,
}: {
  label: string;
  choices: readonly T[];
  hints: Record<T, string>;
  value: T;
  onChange: (choice: T) => void;
}): ReactNode {
  return (
    <SelectField
      label={label}
      value={value}
      hint={hints[value]}
      onChange={(event) => {
        const choice = choices.find((one) => one === event.target.value);
        if (choice !== undefined) onChange(choice);
      }}
    >
      {choices.map((one) => (
        <option key={one}>{one}</option>
      ))}
    </SelectField>
  );
}

interface Built {
  precision: PrecisionChoice;
  engine: EngineChoice;
}

function documentsOf(model: string, version: string, targets: readonly string[], build: Built): PackageDocument[] {
  const options = optionsOf(build);
  return targets.map((target) => ({
    apiVersion: API_VERSION,
    kind: 'Package',
    metadata: { name: packageName(model, version, target, build.precision) },
    spec: { model, version, target, ...(Object.keys(options).length === 0 ? {} : { build: options }) },
  }));
}

/** Defaults are left out, as by the command: the same package asked for in both ways is not built twice. */
function optionsOf({ precision, engine }: Built): Partial<Built> {
  return { ...(precision === 'fp32' ? {} : { precision }), ...(engine === 'auto' ? {} : { engine }) };
}

function commandOf(model: string, version: string, targets: readonly string[], build: Built): string {
  const parts = (targets.length === 0 ? ['TARGET'] : targets).map((target) => `--target ${target}`);
  for (const [option, value] of Object.entries(optionsOf(build))) parts.push(`--${option} ${value}`);
  return `selvedge build create ${model}:${version} ${parts.join(' ')}`;
}

function devicesPerTarget(devices: readonly Device[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const device of devices.filter(({ status }) => status.online))
    for (const target of targetsOf(device)) counts.set(target, (counts.get(target) ?? 0) + 1);
  return counts;
}
