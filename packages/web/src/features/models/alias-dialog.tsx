import { aliasSchema, type Model, type ModelVersion } from '@selvedge/contract';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { keys } from '../../lib/cache.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button, IconButton } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';

export interface AliasDialogProps {
  model: Model;
  versions: readonly ModelVersion[];
  onClose: () => void;
}

/** Names for versions: what is deployed by one follows when it is moved. */
export function AliasDialog({ model, versions, onClose }: AliasDialogProps): ReactNode {
  const { client } = useBackend();
  const queryClient = useQueryClient();
  const { name } = model.metadata;
  const [alias, setAlias] = useState('champion');
  const [version, setVersion] = useState(versions[0]?.spec.version ?? '');
  const refresh = () => queryClient.invalidateQueries({ queryKey: keys.model(name) });
  const set = useMutation({ mutationFn: () => client.setModelAlias({ params: { name, alias }, body: { version } }), onSuccess: refresh });
  const remove = useMutation({
    mutationFn: (removed: string) => client.deleteModelAlias({ params: { name, alias: removed } }),
    onSuccess: refresh,
  });
  const fault = aliasSchema.safeParse(alias).error?.issues[0]?.message;
  const own = Object.entries(model.status.aliases).filter(([known]) => known !== 'latest');
  const error = set.error ?? remove.error;
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Aliases"
      description="A deployment by an alias follows when the alias is moved. latest always is the newest version."
      footer={
        <>
          <Button onClick={onClose}>Close</Button>
          <Button variant="primary" busy={set.isPending} disabled={fault !== undefined || version === ''} onClick={() => set.mutate()}>
            Set alias
          </Button>
        </>
      }
    >
      <div className="grid gap-3 pb-2">
        {own.length > 0 && (
          <ul className="divide-y divide-line rounded-md border border-line text-sm">
            {own.map(([known, of]) => (
              <li key={known} className="flex items-center justify-between gap-3 py-1 pr-1 pl-3">
                <span className="min-w-0 truncate">
                  <span className="font-medium">{known}</span> <span className="text-ink-2">is version {of}</span>
                </span>
                <IconButton icon="trash" label={`Remove alias ${known}`} disabled={remove.isPending} onClick={() => remove.mutate(known)} />
              </li>
            ))}
          </ul>
        )}
        <div className="grid grid-cols-2 gap-x-4">
          <TextField label="Alias" value={alias} error={fault} onChange={(event) => setAlias(event.target.value)} />
          <SelectField label="Version" value={version} onChange={(event) => setVersion(event.target.value)}>
            {versions.map(({ metadata, spec }) => (
              <option key={metadata.uid}>{spec.version}</option>
            ))}
          </SelectField>
        </div>
        <CodeBlock code={`selvedge model alias ${name} ${alias} ${version}`} label="The same from a terminal" />
        {error !== null && <ErrorState error={error} />}
      </div>
    </Dialog>
  );
}
