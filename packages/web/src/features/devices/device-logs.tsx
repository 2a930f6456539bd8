import { type Device, ROUTES, routeUrl } from '@selvedge/contract';
import { type ReactNode, useState } from 'react';
import { useDeviceLog } from '../../lib/log.ts';
import { Card } from '../../ui/card.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { LogView } from '../../ui/log-view.tsx';
import { Tabs } from '../../ui/tabs.tsx';

/** Not the name of a workload: those have no spaces. */
const AGENT = 'the agent';

/** The logs of the agent and of each workload, live from the device. */
export function DeviceLogs({ device }: { device: Device }): ReactNode {
  const [shown, setShown] = useState(AGENT);
  const { name } = device.metadata;
  const workloads = device.status.workloads.map((workload) => workload.name);
  const active = workloads.includes(shown) ? shown : AGENT;
  const items = [{ id: AGENT, text: 'Agent' }, ...workloads.map((workload) => ({ id: workload, text: workload }))];
  return (
    <Card title="Logs" flush>
      <Tabs label="Log" active={active} onChange={setShown} items={items}>
        {device.status.online ? (
          <OneLog key={active} device={name} workload={active === AGENT ? undefined : active} />
        ) : (
          <p className="p-4 text-sm text-ink-3">The device is not connected; its logs are kept on it.</p>
        )}
      </Tabs>
    </Card>
  );
}

function OneLog({ device, workload }: { device: string; workload: string | undefined }): ReactNode {
  const log = useDeviceLog(device, workload);
  const downloadUrl = routeUrl(ROUTES.getDeviceLogs, { params: { name: device }, query: { workload, tail: 100_000 } });
  return (
    <>
      {log.phase === 'broken' && <ErrorState error={log.error} />}
      <LogView label={`Log of ${workload ?? device}`} lines={log.lines} phase={log.phase} dropped={log.dropped} downloadUrl={downloadUrl} />
    </>
  );
}
