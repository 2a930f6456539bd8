import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { useToasts } from '../../ui/toast.tsx';

/** @param small - for a row of a table, where the text names the run for those who do not see the row. */
export function CancelRunButton({ name, small = false }: { name: string; small?: boolean }): ReactNode {
  const { client } = useBackend();
  const { say, fail } = useToasts();
  const cancel = useMutation({
    mutationFn: () => client.cancelRun({ params: { name } }),
    onSuccess: () => say(`Run ${name} is being cancelled.`, 'idle'),
    onError: fail,
  });
  return (
    <Button size={small ? 'sm' : 'md'} variant="danger" icon="stop" busy={cancel.isPending} onClick={() => cancel.mutate()}>
      Cancel{small && <span className="sr-only"> run {name}</span>}
    </Button>
  );
}
