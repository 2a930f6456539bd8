import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { useToasts } from '../../ui/toast.tsx';

/** Asks once more: devices that run the package change to the model server. */
export function RemovePackageDialog({ name, onClose }: { name: string; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const { say } = useToasts();
  const remove = useMutation({
    mutationFn: () => client.deleteResource({ params: { plural: 'packages', name } }),
    onSuccess: () => {
      onClose();
      say(`Package ${name} is removed.`);
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Remove this package?"
      description={`Devices that run ${name} go back to the model server. Its measurements go too; the model version stays.`}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button variant="danger" icon="trash" busy={remove.isPending} onClick={() => remove.mutate()}>
            Remove package
          </Button>
        </>
      }
    >
      <div className="pb-2">
        <CodeBlock code={`selvedge delete package ${name}`} label="The same from a terminal" />
        {remove.isError && <ErrorState error={remove.error} />}
      </div>
    </Dialog>
  );
}
