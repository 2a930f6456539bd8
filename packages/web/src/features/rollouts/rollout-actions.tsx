import type { Client, Rollout } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import type { IconName } from '../../ui/icon.tsx';
import { useToasts } from '../../ui/toast.tsx';

type Verb = 'pause' | 'resume' | 'promote' | 'retry';

const TEXTS: Record<Verb, { text: string; icon: IconName; done: string }> = {
  pause: { text: 'Pause', icon: 'pause', done: 'No further device is let go.' },
  resume: { text: 'Resume', icon: 'play', done: 'The rollout goes on.' },
  promote: { text: 'Promote', icon: 'right', done: 'The next wave begins.' },
  retry: { text: 'Retry', icon: 'overview', done: 'Devices that did not pass try the version again.' },
};

function act(client: Client, verb: Verb, name: string): Promise<Rollout> {
  const request = { params: { name } };
  if (verb === 'pause') return client.pauseRollout(request);
  if (verb === 'resume') return client.resumeRollout(request);
  return verb === 'promote' ? client.promoteRollout(request) : client.retryRollout(request);
}

/** What can be done in the phase that it is in. */
function verbsOf({ status }: Rollout): Verb[] {
  const soaks = status.waves[status.wave]?.state === 'soaking';
  switch (status.phase) {
    case 'running':
      return soaks ? ['pause', 'promote'] : ['pause'];
    case 'waiting':
      return ['pause', 'promote'];
    case 'paused':
      return ['resume', 'retry'];
    case 'failed':
    case 'aborted':
      return ['retry'];
    case 'succeeded':
      return status.devices.some(({ state }) => state === 'failed' || state === 'reverted') ? ['retry'] : [];
    case 'reverting':
    case 'superseded':
      return [];
  }
}

/** The buttons of a rollout; only the newest one of an InferenceModel has any. */
export function RolloutActions({ rollout }: { rollout: Rollout }): ReactNode {
  const { client } = useBackend();
  const { say, fail } = useToasts();
  const [aborting, setAborting] = useState(false);
  const { name } = rollout.metadata;
  const work = useMutation({
    mutationFn: (verb: Verb) => act(client, verb, name),
    onSuccess: (_rollout, verb) => say(TEXTS[verb].done),
    onError: fail,
  });
  const canAbort = ['running', 'waiting', 'paused'].includes(rollout.status.phase);
  return (
    <>
      {verbsOf(rollout).map((verb) => (
        <Button key={verb} icon={TEXTS[verb].icon} busy={work.isPending && work.variables === verb} onClick={() => work.mutate(verb)}>
          {TEXTS[verb].text}
        </Button>
      ))}
      {canAbort && (
        <Button variant="danger" icon="stop" onClick={() => setAborting(true)}>
          Abort
        </Button>
      )}
      {aborting && <AbortDialog rollout={rollout} onClose={() => setAborting(false)} />}
    </>
  );
}

function AbortDialog({ rollout, onClose }: { rollout: Rollout; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const { say } = useToasts();
  const { name } = rollout.metadata;
  const { fromVersion, toVersion } = rollout.spec;
  const abort = useMutation({
    mutationFn: (keep: boolean) => client.abortRollout({ params: { name }, body: keep ? { keep } : {} }),
    onSuccess: (_rollout, keep) => {
      onClose();
      say(keep ? `Devices with version ${toVersion} keep it.` : 'Devices go back to what they had.', 'idle');
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Abort rollout ${name}?`}
      description={`Devices go back to ${fromVersion === '' ? 'serving nothing' : `version ${fromVersion}`}, unless you let them keep version ${toVersion}.`}
      footer={
        <>
          <Button onClick={onClose}>Go on</Button>
          <Button busy={abort.isPending && abort.variables === true} onClick={() => abort.mutate(true)}>
            Abort and keep
          </Button>
          <Button variant="danger" icon="stop" busy={abort.isPending && abort.variables === false} onClick={() => abort.mutate(false)}>
            Abort and revert
          </Button>
        </>
      }
    >
      <div className="pb-2">
        <CodeBlock code={`selvedge rollout abort ${name}`} label="The same from a terminal" />
        {abort.isError && <ErrorState error={abort.error} />}
      </div>
    </Dialog>
  );
}
