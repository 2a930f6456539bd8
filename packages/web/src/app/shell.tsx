import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import { type ReactNode, useEffect, useState, useSyncExternalStore } from 'react';
import { useBackend, useWhoami } from '../lib/queries.ts';
import { readTheme, rememberTheme, type ThemeChoice } from '../lib/theme.ts';
import { IconButton } from '../ui/button.tsx';
import { classNames } from '../ui/class-names.ts';
import { ErrorState } from '../ui/error-state.tsx';
import { Icon, type IconName } from '../ui/icon.tsx';
import { Mark } from '../ui/mark.tsx';

const PLACES = [
  { to: '/', text: 'Overview', icon: 'overview' },
  { to: '/devices', text: 'Devices', icon: 'device' },
  { to: '/datasets', text: 'Datasets', icon: 'dataset' },
  { to: '/tasks', text: 'Tasks', icon: 'task' },
  { to: '/pipelines', text: 'Pipelines', icon: 'pipeline' },
  { to: '/runs', text: 'Runs', icon: 'run' },
  { to: '/models', text: 'Models', icon: 'model' },
  { to: '/rollouts', text: 'Rollouts', icon: 'deployment' },
  { to: '/tools', text: 'Tools', icon: 'tool' },
] as const satisfies readonly { to: string; text: string; icon: IconName }[];

/** The frame around every page of someone who is signed in; it keeps the stream of changes open. */
export function Shell(): ReactNode {
  const whoami = useWhoami();
  const { stream } = useBackend();
  const signedIn = whoami.data !== undefined;
  useEffect(() => {
    if (!signedIn) return;
    stream.start();
    return () => stream.stop();
  }, [stream, signedIn]);
  return (
    <div className="flex min-h-dvh max-md:flex-col">
      <button
        type="button"
        onClick={() => document.getElementById('content')?.focus()}
        className="absolute -top-20 left-3 z-50 rounded-md bg-accent px-3 py-2 text-sm font-medium text-on-accent focus:top-3"
      >
        Skip to the content
      </button>
      <SideBar version={whoami.data?.version} />
      <div className="flex min-w-0 flex-1 flex-col">
        <TopBar />
        <main id="content" tabIndex={-1} className="min-w-0 flex-1 max-md:pb-16">
          {signedIn ? <Outlet /> : whoami.isError && <ErrorState error={whoami.error} retry={() => void whoami.refetch()} />}
        </main>
      </div>
      <BottomBar />
    </div>
  );
}

function SideBar({ version }: { version: string | undefined }): ReactNode {
  return (
    <aside aria-label="Sections" className="sticky top-0 flex h-dvh w-50 shrink-0 bg-surface max-md:hidden">
      <div className="flex min-w-0 flex-1 flex-col">
        <Link to="/" className="flex h-13 items-center gap-2.5 px-4 focus-visible:-outline-offset-2">
          <Mark size={22} />
          <span className="text-[0.9375rem] font-semibold tracking-tight">Selvedge</span>
        </Link>
        <nav aria-label="Main" className="grid gap-0.5 px-2 pt-2">
          {PLACES.map((place) => (
            <Link
              key={place.to}
              to={place.to}
              activeOptions={{ exact: place.to === '/' }}
              className="flex h-8.5 items-center gap-2.5 rounded-md px-2.5 text-sm font-medium text-ink-2 transition-colors hover:bg-sunken hover:text-ink aria-[current=page]:bg-accent-soft aria-[current=page]:text-accent"
            >
              <Icon name={place.icon} />
              {place.text}
            </Link>
          ))}
        </nav>
        <p className="mt-auto px-4 pb-3 text-xs text-ink-3">{version === undefined ? ' ' : `Version ${version}`}</p>
      </div>
      <div aria-hidden="true" className="selvedge-edge w-2.25 border-x border-line bg-canvas" />
    </aside>
  );
}

function BottomBar(): ReactNode {
  return (
    <nav
      aria-label="Main"
      className="fixed inset-x-0 bottom-0 z-30 grid auto-cols-[minmax(4.25rem,1fr)] grid-flow-col overflow-x-auto border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] md:hidden"
    >
      {PLACES.map((place) => (
        <Link
          key={place.to}
          to={place.to}
          activeOptions={{ exact: place.to === '/' }}
          className="flex h-14 flex-col items-center justify-center gap-1 text-xs font-medium text-ink-2 focus-visible:-outline-offset-2 aria-[current=page]:text-accent"
        >
          <Icon name={place.icon} size={18} />
          {place.text}
        </Link>
      ))}
    </nav>
  );
}

function TopBar(): ReactNode {
  return (
    <header className="sticky top-0 z-20 flex h-13 shrink-0 items-center gap-2 border-b border-line bg-canvas/95 px-4 backdrop-blur-sm md:px-6">
      <Link to="/" className="flex items-center gap-2 md:hidden">
        <Mark size={20} />
        <span className="text-sm font-semibold tracking-tight">Selvedge</span>
      </Link>
      <div className="ml-auto flex items-center gap-1">
        <ConnectionState />
        <ThemeButton />
        <SignOutButton />
      </div>
    </header>
  );
}

function ConnectionState(): ReactNode {
  const { stream } = useBackend();
  const state = useSyncExternalStore(stream.subscribe, () => stream.state);
  const text = { connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting' }[state];
  return (
    <span
      role="status"
      title="Connection to the server"
      className={classNames('mr-2 inline-flex items-center gap-1.5 text-xs font-medium', state === 'live' ? 'text-ok' : 'text-warn')}
    >
      {state === 'live' ? <span aria-hidden="true" className="size-2 rounded-full bg-current" /> : <Icon name="spin" size={12} />}
      {text}
    </span>
  );
}

const NEXT_THEME: Record<ThemeChoice, ThemeChoice> = { system: 'light', light: 'dark', dark: 'system' };
const THEME_ICONS: Record<ThemeChoice, IconName> = { system: 'system', light: 'sun', dark: 'moon' };

function ThemeButton(): ReactNode {
  const [choice, setChoice] = useState(readTheme);
  const next = NEXT_THEME[choice];
  const change = () => {
    rememberTheme(next);
    setChoice(next);
  };
  return <IconButton icon={THEME_ICONS[choice]} label={`Colours: ${choice}. Change to ${next}`} onClick={change} />;
}

function SignOutButton(): ReactNode {
  const { client } = useBackend();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const signOut = useMutation({
    mutationFn: () => client.deleteSession(),
    onSuccess: async () => {
      await navigate({ to: '/login', search: {} });
      queryClient.clear();
    },
  });
  return <IconButton icon="out" label="Sign out" disabled={signOut.isPending} onClick={() => signOut.mutate()} />;
}
