import { type AnyDocument, API_VERSION, type ModelVersion, packageName, type Target } from '@selvedge/contract';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { plural } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';
import { useToasts } from '../../ui/toast.tsx';

type PackageDocument = Extract<AnyDocument, { kind: 'Package' }>;
const PRECISIONS = ['fp32', 'int8', 'fp16', 'auto'] as const;
type PrecisionChoice = (typeof PRECISIONS)[number];
const ENGINES = ['auto', 'xnnpack', 'onnxruntime'] as const;
type EngineChoice = (typeof ENGINES)[number];

const PRECISION_HINTS: Record<PrecisionChoice, string> = {
  fp32: 'as trained',
  int8: 'smallest and fastest; calibrated on the training data',
  fp16: 'where the core has it, else fp32',
  auto: 'the fastest that loses at most half a point of accuracy',
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
  const targets = useQuery({ queryKey: ['targets'], queryFn: async ({ signal }) => (await client.listTargets({ signal })).items });
  const [version, setVersion] = useState(versions[0]?.spec.version ?? '');
  const [picked, setPicked] = useState<readonly string[]>();
  const [precision, setPrecision] = useState<PrecisionChoice>('fp32');
  const [engine, setEngine] = useState<EngineChoice>('auto');
  const installed = (targets.data ?? []).filter((target) => target.installed).map(({ name }) => name);
  const chosen = picked ?? installed;
  const documents = chosen.map(
    (target): PackageDocument => ({
      apiVersion: API_VERSION,
      kind: 'Package',
      metadata: { name: packageName(model, version, target, precision) },
      spec: { model, version, target, build: { precision, engine } },
    }),
  );
  const apply = useMutation({
    mutationFn: () => client.apply({ body: { documents } }),
    onSuccess: () => {
      onClose();
      say(`${plural(documents.length, 'package')} of ${model} ${version} will be built.`);
    },
  });
  const toggle = (name: string) => setPicked(chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name]);
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title={`Build ${model}`}
      description="Compiles the pipeline to one executable per target. Devices of the target take it up by themselves."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" icon="model" busy={apply.isPending} disabled={chosen.length === 0} onClick={() => apply.mutate()}>
            Build
          </Button>
        </>
      }
    >
      <div className="grid gap-x-4 gap-y-2 pb-2 sm:grid-cols-3">
        <SelectField label="Version" value={version} onChange={(event) => setVersion(event.target.value)}>
          {versions.map(({ spec }) => (
            <option key={spec.version}>{spec.version}</option>
          ))}
        </SelectField>
        <SelectField
          label="Precision"
          value={precision}
          hint={PRECISION_HINTS[precision]}
          onChange={(event) => setPrecision(PRECISIONS.find((one) => one === event.target.value) ?? 'fp32')}
        >
          {PRECISIONS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </SelectField>
        <SelectField
          label="Engine"
          value={engine}
          onChange={(event) => setEngine(ENGINES.find((one) => one === event.target.value) ?? 'auto')}
        >
          {ENGINES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </SelectField>
        <TargetChoice targets={targets.data ?? []} chosen={chosen} onToggle={toggle} />
        <div className="sm:col-span-3">
          <CodeBlock
            code={`selvedge build create ${model}:${version} ${chosen.map((target) => `--target ${target}`).join(' ')} --precision ${precision}`}
            label="The same from a terminal"
          />
        </div>
        {targets.isError && <ErrorState error={targets.error} />}
        {apply.isError && (
          <div className="sm:col-span-3">
            <ErrorState error={apply.error} />
          </div>
        )}
      </div>
    </Dialog>
  );
}

function TargetChoice({
  targets,
  chosen,
  onToggle,
}: {
  targets: readonly Target[];
  chosen: readonly string[];
  onToggle: (name: string) => void;
}): ReactNode {
  return (
    <fieldset className="sm:col-span-3">
      <legend className="text-sm font-medium">Targets</legend>
      <ul className="mt-1 grid gap-1">
        {targets.map(({ name, description, installed }) => (
          <li key={name}>
            <label className="flex items-baseline gap-2 text-sm">
              <input type="checkbox" checked={chosen.includes(name)} disabled={!installed} onChange={() => onToggle(name)} />
              <span className="font-mono text-xs">{name}</span>
              <span className="text-xs text-ink-2">
                {installed ? description : `toolchain not installed: run “selvedge target install ${name}” on the server`}
              </span>
            </label>
          </li>
        ))}
      </ul>
    </fieldset>
  );
}
