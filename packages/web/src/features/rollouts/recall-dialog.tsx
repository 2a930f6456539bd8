import type { RecallSource, RecallView } from '@selvedge/contract';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { plural } from '../../lib/format.ts';
import { useBackend, useList } from '../../lib/queries.ts';
import { recallCommand, recallName, recallTargets } from '../../lib/recall.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField } from '../../ui/field.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { RecallDevices, RecallOutcome } from './recall-view.tsx';

/** Opens the dialog that takes what was made from something from every device. */
export function RecallButton({ source, size = 'md' }: { source: RecallSource; size?: 'sm' | 'md' }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button variant="danger" size={size} onClick={() => setOpen(true)}>
        Recall …<span className="sr-only"> {recallName(source)}</span>
      </Button>
      {open && <RecallDialog source={source} onClose={() => setOpen(false)} />}
    </>
  );
}

function RecallDialog({ source, onClose }: { source: RecallSource; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const view = useQuery({
    queryKey: ['recall', recallName(source)],
    queryFn: ({ signal }) => client.findRecall({ query: source, signal }),
    // What is shown must be what the devices have now.
    staleTime: 0,
    gcTime: 0,
  });
  const versions = useList('ModelVersion');
  const targets = view.data === undefined ? [] : recallTargets(view.data, versions.data ?? []);
  const [picked, setPicked] = useState<string>();
  const to = picked ?? targets[0]?.spec.version;
  const recall = useMutation({ mutationFn: (version: string) => client.recall({ body: { ...source, to: version } }) });
  const done = recall.data;
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title={`Recall ${recallName(source)}`}
      description={
        done === undefined
          ? 'Every device that runs anything made from it, also by way of other versions.'
          : 'Devices that are online take the other version up now. One that is offline gets it when it is back.'
      }
      footer={
        done === undefined ? (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button
              variant="danger"
              busy={recall.isPending}
              disabled={to === undefined}
              onClick={() => to !== undefined && recall.mutate(to)}
            >
              {to === undefined ? 'Recall' : `Recall to version ${to}`}
            </Button>
          </>
        ) : (
          <Button variant="primary" onClick={onClose}>
            Done
          </Button>
        )
      }
    >
      <div className="grid grid-cols-1 gap-3 pb-2">
        {done === undefined ? (
          <QueryView query={view} label="devices" rows={3}>
            {(data) => (
              <>
                <RecallDevices view={data} />
                {data.deployments.length > 0 && (
                  <>
                    <TargetChoice view={data} versions={targets.map(({ spec }) => spec.version)} value={to} onChange={setPicked} />
                    {to !== undefined && <Warning view={data} to={to} />}
                  </>
                )}
                <CodeBlock code={recallCommand(source, to)} label="The same from a terminal" />
              </>
            )}
          </QueryView>
        ) : (
          <RecallOutcome deployments={done.deployments} />
        )}
        {recall.isError && <ErrorState error={recall.error} />}
      </div>
    </Dialog>
  );
}

function TargetChoice({
  view,
  versions,
  value,
  onChange,
}: {
  view: RecallView;
  versions: readonly string[];
  value: string | undefined;
  onChange: (version: string) => void;
}): ReactNode {
  const models = [...new Set(view.deployments.map(({ model }) => model))];
  if (versions.length === 0)
    return (
      <p role="status" className="rounded-md border border-warn/50 bg-warn-soft px-3 py-2 text-sm">
        {models.length === 1
          ? `Every version of ${models[0]} was made from it: there is none to go to.`
          : `${models.join(', ')} have no version of one name that was not made from it: deploy another version of each.`}
      </p>
    );
  return (
    <SelectField
      label="Version that devices get instead"
      value={value ?? ''}
      onChange={(event) => onChange(event.target.value)}
      hint={models.length > 1 ? `There is one of that name of ${models.join(', ')}.` : `Of ${models.join('')}`}
    >
      {versions.map((version) => (
        <option key={version}>{version}</option>
      ))}
    </SelectField>
  );
}

/** The words of the command line. */
function Warning({ view, to }: { view: RecallView; to: string }): ReactNode {
  const names = view.deployments.map(({ name }) => name).join(', ');
  return (
    <div className="rounded-md border border-bad/40 bg-bad-soft px-3 py-2 text-sm break-words">
      <p className="font-semibold">
        This takes {names} to version {to} on all devices at once.
      </p>
      <p className="mt-0.5 text-ink-2">
        {plural(view.devices.length, 'device')} now. Devices get the other version at once, without waves, trial or maintenance windows. One
        that is offline gets it when it is back.
      </p>
    </div>
  );
}
