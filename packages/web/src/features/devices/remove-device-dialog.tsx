import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { useToasts } from '../../ui/toast.tsx';

export interface RemoveDeviceDialogProps {
  name: string;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

/** Asks before a device is removed, for it cannot come back with the same certificate. */
export function RemoveDeviceDialog({ name, open, onOpenChange }: RemoveDeviceDialogProps): ReactNode {
  const { client } = useBackend();
  const navigate = useNavigate();
  const { say } = useToasts();
  const remove = useMutation({
    mutationFn: () => client.deleteResource({ params: { plural: 'devices', name } }),
    onSuccess: async () => {
      onOpenChange(false);
      await navigate({ to: '/devices' });
      say(`Device ${name} is removed.`);
    },
  });
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Remove ${name}?`}
      description="Its certificate is revoked at once: the server refuses its next packet. What it serves keeps running on the device until the agent is stopped there. To come back, it must join with a new token."
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>Keep it</Button>
          <Button variant="danger" icon="trash" busy={remove.isPending} onClick={() => remove.mutate()}>
            Remove device
          </Button>
        </>
      }
    >
      <div className="pb-2">
        <CodeBlock code={`selvedge device remove ${name}`} label="The same from a terminal" />
        {remove.isError && <ErrorState error={remove.error} />}
      </div>
    </Dialog>
  );
}
