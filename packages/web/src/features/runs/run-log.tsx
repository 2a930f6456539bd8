import { ROUTES, type RunStep, routeUrl } from '@selvedge/contract';
import type { ReactNode } from 'react';
import { useRunLog } from '../../lib/log.ts';
import { Card } from '../../ui/card.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { LogView } from '../../ui/log-view.tsx';
import { Tabs } from '../../ui/tabs.tsx';

export interface RunLogProps {
  run: string;
  steps: readonly RunStep[];
  shown: RunStep | undefined;
  onShow: (step: string) => void;
}

/** The log of one step, live. */
export function RunLog({ run, steps, shown, onShow }: RunLogProps): ReactNode {
  const begun = steps.filter((step) => step.startedAt !== null);
  if (shown === undefined || begun.length === 0) {
    return (
      <Card title="Log">
        <p className="text-sm text-ink-3">The first step has not begun.</p>
      </Card>
    );
  }
  return (
    <Card title="Log" flush>
      <Tabs label="Step" active={shown.name} onChange={onShow} items={begun.map((step) => ({ id: step.name, text: step.name }))}>
        <StepLog key={shown.name} run={run} step={shown} />
      </Tabs>
    </Card>
  );
}

function StepLog({ run, step }: { run: string; step: RunStep }): ReactNode {
  const log = useRunLog(run, step.name, step.attempt);
  const downloadUrl = routeUrl(ROUTES.getRunLog, { params: { name: run }, query: { step: step.name } });
  return (
    <>
      {log.phase === 'broken' && <ErrorState error={log.error} />}
      <LogView label={`Log of ${step.name}`} lines={log.lines} phase={log.phase} dropped={log.dropped} downloadUrl={downloadUrl} />
    </>
  );
}
