import { type AppError, toAppError } from '@selvedge/contract';
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { createPageClient } from '../lib/api.ts';
import { applyEvents, keys } from '../lib/cache.ts';
import { EventLog } from '../lib/event-log.ts';
import { LiveStream } from '../lib/live-stream.ts';
import type { Backend } from '../lib/queries.ts';
import { createPageRouter, type PageRouter } from './router.tsx';

export interface App {
  readonly backend: Backend;
  readonly queryClient: QueryClient;
  readonly router: PageRouter;
}

const EVENTS_KEPT = 2000;
const MAX_RETRIES = 2;

/** Puts the parts together; nothing is asked of the server yet. */
export function createApp(): App {
  const router = createPageRouter();
  const onError = (error: unknown) => {
    if (toAppError(error).code === 'UNAUTHENTICATED') askToSignIn(router);
  };
  const queryClient = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        // The stream keeps what is cached up to date; asking again on every look would only cost.
        staleTime: 60_000,
        refetchOnWindowFocus: false,
        retry: (count, error) => count < MAX_RETRIES && isRetryable(toAppError(error)),
      },
    },
  });
  const events = new EventLog(EVENTS_KEPT);
  const stream = new LiveStream({
    url: '/api/v1/events',
    onEvents: (batch) => {
      events.push(batch);
      applyEvents(queryClient, batch);
    },
    onOpen: () => void queryClient.invalidateQueries(),
    onRefused: () => void queryClient.invalidateQueries({ queryKey: keys.whoami }),
  });
  return { backend: { client: createPageClient(), stream, events }, queryClient, router };
}

function isRetryable(error: AppError): boolean {
  return error.retryable;
}

/** Once: several requests are refused together, and the page to come back to must not become the sign-in page. */
function askToSignIn(router: PageRouter): void {
  const { pathname, href } = router.state.location;
  if (pathname === '/login') return;
  void router.navigate({ to: '/login', search: { from: href }, replace: true });
}
