import { type InferenceModel, type ModelVersion, nameSchema } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { deploymentDocument, selectedDevices } from '../../lib/deployment.ts';
import { plural } from '../../lib/format.ts';
import { formatSelector, parseSelector } from '../../lib/labels.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import { type RolloutForm, readPolicy, rolloutForm } from '../../lib/rollout.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { RolloutFields } from './rollout-fields.tsx';

export interface DeployDialogProps {
  model: string;
  versions: readonly ModelVersion[];
  version: string | undefined;
  /** The deployment to change; a new one without it. */
  existing: InferenceModel | undefined;
  onClose: () => void;
}

/** Chooses a version and the devices that are to serve it, and applies an InferenceModel. */
export function DeployDialog({ model, versions, version: firstVersion, existing, onClose }: DeployDialogProps): ReactNode {
  const { client } = useBackend();
  const { say } = useToasts();
  const devices = useList('Device');
  const deployments = useList('InferenceModel');
  const [name, setName] = useState(existing?.metadata.name ?? model);
  const [version, setVersion] = useState(firstVersion ?? 'latest');
  const replaced = existing ?? (deployments.data ?? []).find(({ metadata }) => metadata.name === name);
  const [selectorText, setSelectorText] = useState(formatSelector(replaced?.spec.nodeSelector ?? {}));
  const selection = parseSelector(selectorText);
  const nameOk = nameSchema.safeParse(name).success;
  const selector = selection.ok ? selection.labels : {};
  const before = replaced?.spec.rollout;
  const [edited, setEdited] = useState<RolloutForm>();
  const form = edited ?? rolloutForm(before);
  const read = readPolicy(form, before);
  const document = deploymentDocument({ name, model, version, selector, rollout: read.ok ? read.policy : undefined }, replaced);
  const apply = useMutation({
    mutationFn: () => client.apply({ body: { documents: [document] } }),
    onSuccess: ({ results }) => {
      onClose();
      say(
        results[0]?.action === 'unchanged'
          ? `Deployment ${name} was like this already.`
          : `Deployment ${name} is applied; devices take it up now.`,
      );
    },
  });
  const matching = selectedDevices(devices.data ?? [], selector);
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title={existing === undefined ? `Deploy ${model}` : `Change ${existing.metadata.name}`}
      description="Every device with these labels serves the version, now and when it joins later."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            variant="primary"
            icon="deployment"
            busy={apply.isPending}
            disabled={!selection.ok || !nameOk || !read.ok}
            onClick={() => apply.mutate()}
          >
            {existing === undefined ? 'Deploy' : 'Apply'}
          </Button>
        </>
      }
    >
      <div className="grid gap-x-4 gap-y-2 pb-2 sm:grid-cols-2">
        <TextField
          label="Name of the deployment"
          value={name}
          disabled={existing !== undefined}
          onChange={(event) => setName(event.target.value)}
          hint={existing === undefined && replaced !== undefined ? 'There is one of this name: it is changed.' : undefined}
          error={nameOk ? undefined : 'Lower-case letters, digits, "-" and "."'}
        />
        <SelectField
          label="Version"
          value={version}
          onChange={(event) => setVersion(event.target.value)}
          hint={version === 'latest' ? 'follows every new version' : 'stays on this version'}
        >
          <option value="latest">latest</option>
          {versions.map(({ spec }) => (
            <option key={spec.version}>{spec.version}</option>
          ))}
        </SelectField>
        <div className="sm:col-span-2">
          <TextField
            label="Device labels"
            value={selectorText}
            placeholder="site=lab, role=camera"
            onChange={(event) => setSelectorText(event.target.value)}
            error={selection.ok ? undefined : selection.message}
            hint={
              <span title={matching.map((device) => device.metadata.name).join('\n')}>
                {Object.keys(selector).length === 0 ? 'No label: every device. ' : ''}
                Matches {plural(matching.length, 'device')} now
                {matching.length > 0 &&
                  `: ${matching
                    .slice(0, 4)
                    .map((device) => device.metadata.name)
                    .join(', ')}${matching.length > 4 ? ', …' : ''}`}
              </span>
            }
          />
        </div>
        <RolloutFields form={form} read={read} hasPolicy={before !== undefined} onChange={setEdited} />
        <details className="sm:col-span-2">
          <summary className="w-fit rounded text-xs font-medium text-ink-2 hover:text-ink">
            The document that is applied: save it and run “selvedge apply -f FILE”
          </summary>
          <div className="mt-2">
            <CodeBlock code={JSON.stringify(document, null, 2)} label="InferenceModel document" />
          </div>
        </details>
        {apply.isError && (
          <div className="sm:col-span-2">
            <ErrorState error={apply.error} />
          </div>
        )}
      </div>
    </Dialog>
  );
}
