import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { Page } from '../../ui/page.tsx';
import { AddDeviceDialog } from './add-device-dialog.tsx';
import { AuthoritiesCard } from './authorities-card.tsx';
import { PendingJoins } from './pending-joins.tsx';
import { TokensCard } from './tokens-card.tsx';

/** How devices come to be the server's: tokens, who waits for approval, and the authorities that sign certificates. */
export function JoiningPage(): ReactNode {
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title="Joining"
      trail={
        <Link to="/devices" className="hover:underline">
          Devices
        </Link>
      }
      actions={
        <>
          <CliHint
            commands={[
              'selvedge device token --ttl 1h --uses 1',
              'selvedge device token list',
              'selvedge device token revoke ID',
              'selvedge device pending',
              'selvedge device approve NAME',
              'selvedge ca show',
              'selvedge ca rotate',
            ]}
          />
          <Button variant="primary" icon="plus" onClick={() => setAdding(true)}>
            New token
          </Button>
        </>
      }
    >
      <div className="grid gap-4">
        <PendingJoins />
        <TokensCard onNew={() => setAdding(true)} />
        <AuthoritiesCard />
      </div>
      <AddDeviceDialog open={adding} onOpenChange={setAdding} />
    </Page>
  );
}
