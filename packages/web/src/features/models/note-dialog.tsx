import { type ModelVersion, NOTE_ANNOTATION } from '@selvedge/contract';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useId, useState } from 'react';
import { keys } from '../../lib/cache.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';

const MAX_CHARACTERS = 16_384;

/** What somebody has to say about a version; it is on the model card too. */
export function NoteDialog({ version, onClose }: { version: ModelVersion; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const queryClient = useQueryClient();
  const id = useId();
  const { model: name, version: number } = version.spec;
  const [text, setText] = useState(version.metadata.annotations[NOTE_ANNOTATION] ?? '');
  const save = useMutation({
    mutationFn: () => client.setModelNote({ params: { name, version: number }, body: { text: text.trim() } }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keys.model(name) });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Note on version ${number}`}
      description="Shown here and on the model card. An empty note is removed."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" busy={save.isPending} onClick={() => save.mutate()}>
            Save note
          </Button>
        </>
      }
    >
      <div className="grid gap-3 pb-2">
        <div className="grid gap-1">
          <label htmlFor={id} className="text-sm font-medium">
            Note
          </label>
          <textarea
            id={id}
            rows={5}
            value={text}
            maxLength={MAX_CHARACTERS}
            onChange={(event) => setText(event.target.value)}
            className="w-full min-w-0 rounded-md border border-line-strong bg-surface px-2.5 py-1.5 text-sm text-ink focus-visible:outline-offset-0"
          />
        </div>
        <CodeBlock code={`selvedge model note ${name}:${number} "TEXT"`} label="The same from a terminal" />
        {save.isError && <ErrorState error={save.error} />}
      </div>
    </Dialog>
  );
}
