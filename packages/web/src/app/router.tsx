import { createHashHistory, createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet } from '@tanstack/react-router';
import { SignInPage } from '../features/session/sign-in-page.tsx';
import { NotFoundPage } from './not-found-page.tsx';
import { Shell } from './shell.tsx';

const rootRoute = createRootRoute({ component: Outlet, notFoundComponent: NotFoundPage });

/** `code` is what `selvedge open` puts into the address, `from` the page that asked to sign in. */
interface SignInSearch {
  code?: string;
  from?: string;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

const signInRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/login',
  component: SignInPage,
  validateSearch: (search: Record<string, unknown>): SignInSearch => {
    const code = textOf(search.code);
    const from = textOf(search.from);
    return { ...(code === undefined ? {} : { code }), ...(from === undefined ? {} : { from }) };
  },
});

const shellRoute = createRoute({ getParentRoute: () => rootRoute, id: 'shell', component: Shell });
const inShell = () => shellRoute;

const routeTree = rootRoute.addChildren([
  signInRoute,
  shellRoute.addChildren([
    createRoute({
      getParentRoute: inShell,
      path: '/',
      component: lazyRouteComponent(() => import('../features/overview/overview-page.tsx'), 'OverviewPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/devices',
      component: lazyRouteComponent(() => import('../features/devices/devices-page.tsx'), 'DevicesPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/devices/joining',
      component: lazyRouteComponent(() => import('../features/devices/joining-page.tsx'), 'JoiningPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/devices/$name',
      component: lazyRouteComponent(() => import('../features/devices/device-page.tsx'), 'DevicePage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/operations',
      component: lazyRouteComponent(() => import('../features/operations/operations-page.tsx'), 'OperationsPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/operations/$name',
      component: lazyRouteComponent(() => import('../features/operations/operation-page.tsx'), 'OperationPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/datasets',
      component: lazyRouteComponent(() => import('../features/datasets/datasets-page.tsx'), 'DatasetsPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/datasets/$name',
      component: lazyRouteComponent(() => import('../features/datasets/dataset-page.tsx'), 'DatasetPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/runs',
      component: lazyRouteComponent(() => import('../features/runs/runs-page.tsx'), 'RunsPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/runs/$name',
      component: lazyRouteComponent(() => import('../features/runs/run-page.tsx'), 'RunPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/tasks',
      component: lazyRouteComponent(() => import('../features/tasks/tasks-page.tsx'), 'TasksPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/pipelines',
      component: lazyRouteComponent(() => import('../features/pipelines/pipelines-page.tsx'), 'PipelinesPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/pipelines/$name',
      component: lazyRouteComponent(() => import('../features/pipelines/pipeline-page.tsx'), 'PipelinePage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/tools',
      component: lazyRouteComponent(() => import('../features/tools/tools-page.tsx'), 'ToolsPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/tools/$name',
      component: lazyRouteComponent(() => import('../features/tools/tool-page.tsx'), 'ToolPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/tasks/$name',
      component: lazyRouteComponent(() => import('../features/tasks/task-page.tsx'), 'TaskPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/rollouts',
      component: lazyRouteComponent(() => import('../features/rollouts/rollouts-page.tsx'), 'RolloutsPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/rollouts/$name',
      component: lazyRouteComponent(() => import('../features/rollouts/rollout-page.tsx'), 'RolloutPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/models',
      component: lazyRouteComponent(() => import('../features/models/models-page.tsx'), 'ModelsPage'),
    }),
    createRoute({
      getParentRoute: inShell,
      path: '/models/$name',
      component: lazyRouteComponent(() => import('../features/models/model-page.tsx'), 'ModelPage'),
      // `deploy` is the version whose deployment the page opens with.
      validateSearch: (search: Record<string, unknown>): { deploy?: string } => {
        const deploy = textOf(search.deploy);
        return deploy === undefined ? {} : { deploy };
      },
    }),
  ]),
]);

/** Addresses live behind `#`, so the server serves one page whatever the path, and a login code never reaches a log. */
export function createPageRouter() {
  return createRouter({
    routeTree,
    history: createHashHistory(),
    defaultPreload: 'intent',
    // Plain texts both ways: the usual JSON form would turn a login code of digits into a number.
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: writeSearch,
  });
}
export type PageRouter = ReturnType<typeof createPageRouter>;

function writeSearch(search: Record<string, unknown>): string {
  const parts = Object.entries(search).flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : []));
  const text = new URLSearchParams(parts).toString();
  return text === '' ? '' : `?${text}`;
}

declare module '@tanstack/react-router' {
  interface Register {
    router: PageRouter;
  }
}
