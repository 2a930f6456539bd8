import type { CaStatus } from '@selvedge/contract';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { keys } from '../../lib/cache.ts';
import { plural } from '../../lib/format.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { useToasts } from '../../ui/toast.tsx';

function useRotation(done: (status: CaStatus) => void) {
  const { client } = useBackend();
  const cache = useQueryClient();
  return useMutation({
    mutationFn: (body: { finish?: boolean; force?: boolean }) => client.rotateCa({ body }),
    onSuccess: (status) => {
      cache.setQueryData(keys.caStatus, status);
      void cache.invalidateQueries({ queryKey: keys.deviceTokens });
      done(status);
    },
  });
}

/** Asks before a change of authorities begins. */
export function BeginRotationDialog({ devices, onClose }: { devices: number; onClose: () => void }): ReactNode {
  const { say } = useToasts();
  const rotate = useRotation(() => {
    onClose();
    say('The change of authorities has begun; devices follow as they are online.');
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Begin a rotation of the certificate authority?"
      description={`The server makes the next authority. ${plural(devices, 'device')} will follow without being touched; the change ends by itself when all have.`}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" busy={rotate.isPending} onClick={() => rotate.mutate({})}>
            Begin rotation
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-1 gap-3 pb-2 text-sm text-ink-2">
        <ul className="grid list-disc gap-1 pl-5">
          <li>Until it ends, certificates of both authorities are taken, and tokens of before work on.</li>
          <li>Tokens made before or during the change hold it up until they are used, revoked or expired.</li>
          <li>Package signatures made under the present authority still hold afterwards.</li>
          <li>A change that has begun is not taken back.</li>
        </ul>
        <CodeBlock code="selvedge ca rotate" label="The same from a terminal" />
        {rotate.isError && <ErrorState error={rotate.error} />}
      </div>
    </Dialog>
  );
}

/** Asks before a change of authorities is ended; leaving devices or tokens behind needs a word of its own. */
export function FinishRotationDialog({ status, onClose }: { status: CaStatus; onClose: () => void }): ReactNode {
  const { say } = useToasts();
  const [accepted, setAccepted] = useState(false);
  const { devices, tokens } = status;
  const missing = devices.total - devices.ready;
  const behind = [...(missing > 0 ? [plural(missing, 'device')] : []), ...(tokens > 0 ? [plural(tokens, 'join token')] : [])];
  const needsForce = behind.length > 0;
  const force = needsForce && accepted;
  const rotate = useRotation(() => {
    onClose();
    say(
      missing === 0 ? 'The next authority has taken over.' : `The next authority has taken over; ${plural(missing, 'device')} left behind.`,
    );
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Finish the rotation now?"
      description={
        needsForce
          ? 'It would end by itself as soon as nothing is waited for any more.'
          : 'Every device is ready. The next authority takes the place of the present one.'
      }
      footer={
        <>
          <Button onClick={onClose}>Wait</Button>
          <Button
            variant={needsForce ? 'danger' : 'primary'}
            busy={rotate.isPending}
            disabled={needsForce && !accepted}
            onClick={() => rotate.mutate({ finish: true, ...(force ? { force } : {}) })}
          >
            {needsForce ? 'Finish and leave behind' : 'Finish rotation'}
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-1 gap-3 pb-2 text-sm">
        {needsForce && <LeftBehind status={status} behind={behind} accepted={accepted} onAccept={setAccepted} />}
        <CodeBlock code={`selvedge ca rotate --finish${needsForce ? ' --force' : ''}`} label="The same from a terminal" />
        {rotate.isError && <ErrorState error={rotate.error} />}
      </div>
    </Dialog>
  );
}

const NAMED = 8;

function LeftBehind({
  status,
  behind,
  accepted,
  onAccept,
}: {
  status: CaStatus;
  behind: readonly string[];
  accepted: boolean;
  onAccept: (accepted: boolean) => void;
}): ReactNode {
  const { total, ready, waiting } = status.devices;
  const missing = total - ready;
  const shown = waiting.slice(0, NAMED).map(({ device }) => device);
  return (
    <>
      <div className="grid gap-1.5 rounded-md border border-bad/40 bg-bad-soft px-3 py-2">
        {missing > 0 && (
          <p className="break-words">
            <strong className="font-semibold">{plural(missing, 'device')} not ready:</strong> {shown.join(', ')}
            {missing > shown.length ? ` and ${missing - shown.length} more` : ''}. They will refuse this server and be refused by it. They
            go on serving what they have; each has to be removed here and to join again with a new token and <code>--force</code>.
          </p>
        )}
        {status.tokens > 0 && <p>{plural(status.tokens, 'join token')} of the present authority will not work any more.</p>}
      </div>
      <label className="flex items-start gap-2">
        <input type="checkbox" checked={accepted} onChange={(event) => onAccept(event.target.checked)} className="mt-1 accent-accent" />
        Leave {behind.join(' and ')} behind
      </label>
    </>
  );
}
