import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { API_TOKEN, FixtureServer, LOGIN_CODE } from './fixture-server.ts';
import { emptyWorld, fullWorld, OPERATION, RUNNING_RUN } from './fixture-world.ts';

/**
 * Visits every page of the built web UI in Chromium, in both themes and two widths, runs axe on each, and leaves
 * pictures: `npx tsx packages/web/src/testing/browser-check.ts FOLDER [PATTERN]`. Fails on a serious accessibility violation, on
 * a breach of the Content-Security-Policy, and on an error in the console.
 */
const OUT = resolve(process.argv[2] ?? 'web-shots');
/** Only the visits whose name matches, for looking at some pages again. */
const ONLY = process.argv[3] === undefined ? undefined : new RegExp(process.argv[3]);
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WEB = resolve(import.meta.dirname, '../../dist');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

interface Violation {
  id: string;
  impact: string;
  nodes: { html: string; failureSummary: string }[];
}

const faults: string[] = [];

interface Visit {
  name: string;
  path: string;
  /** Brings the page into the state to look at. */
  act?: (page: Page) => Promise<void>;
  phone?: boolean;
}

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAJ0lEQVR4nGNgQAX/gYCBgYGBgQFKMzAwMDAwMDD8BwMGBgYGBgYGAOGxB/lX1JQmAAAAAElFTkSuQmCC',
  'base64',
);

const press = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name }).first().click();

/** Somebody else writes notes while the dialog is open. */
async function saveAfterSomebodyElse(page: Page): Promise<void> {
  const address = '**/api/v1/resources/devices/edge-3';
  await press('Edit')(page);
  await page.route(address, async (route) => {
    const device = await (await route.fetch()).json();
    await route.fulfill({ json: { ...device, spec: { notes: 'Bracket is loose.', description: 'Over the belt' } } });
  });
  await page.getByLabel('Notes').fill('Lens cleaned.');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('Somebody else').waitFor();
  await page.unroute(address);
}

const VISITS: Visit[] = [
  { name: 'overview', path: '/', phone: true },
  { name: 'overview-cli', path: '/', act: press('CLI') },
  { name: 'devices', path: '/devices', phone: true },
  { name: 'devices-bundle', path: '/devices', act: press('Export bundle'), phone: true },
  { name: 'devices-add', path: '/devices', act: press('Add device'), phone: true },
  {
    name: 'devices-token',
    path: '/devices',
    act: async (page) => {
      await press('Add device')(page);
      await press('Make token')(page);
      await page.getByRole('region', { name: 'Join command' }).waitFor();
    },
  },
  { name: 'joining', path: '/devices/joining', phone: true },
  { name: 'joining-revoke-remove', path: '/devices/joining', act: press(/^Revoke/) },
  {
    name: 'joining-finish-remove',
    path: '/devices/joining',
    act: async (page) => {
      await press('Finish rotation')(page);
      await page.getByLabel(/^Leave/).check();
    },
    phone: true,
  },
  {
    name: 'device-edit-start',
    path: '/devices/edge-3',
    act: async (page) => {
      await press('Edit')(page);
      await page.getByLabel('Notes').fill('Lens cleaned.\nBracket is loose.');
      await page.getByLabel('Latitude').fill('91');
      await press('Add label')(page);
      await page.getByLabel('Key of label 6').fill('not a key');
    },
    phone: true,
  },
  {
    name: 'device-edit-add',
    path: '/devices/edge-3',
    act: async (page) => {
      await press('Edit')(page);
      await page.getByLabel('Place').fill('hall 3, gate B');
      await page.getByLabel('Latitude').fill('52.52');
      await page.getByLabel('Longitude').fill('13.405');
      await press('Remove label shift')(page);
      await page.getByLabel('Commands that make').scrollIntoViewIfNeeded();
    },
  },
  { name: 'device-edit-clash-start', path: '/devices/edge-3', act: saveAfterSomebodyElse, phone: true },
  { name: 'device', path: '/devices/edge-1', act: (page) => page.locator('canvas').first().waitFor(), phone: true },
  { name: 'operations', path: '/operations', phone: true },
  { name: 'operation', path: `/operations/${OPERATION}`, phone: true },
  { name: 'device-failed', path: '/devices/edge-3' },
  { name: 'device-conflict', path: '/devices/twin' },
  { name: 'device-remove', path: '/devices/edge-2', act: press('Remove') },
  { name: 'device-missing', path: '/devices/nobody' },
  { name: 'datasets', path: '/datasets', phone: true },
  {
    name: 'dataset',
    path: '/datasets/digits',
    act: async (page) => {
      await press('Verify')(page);
      await page.getByText('as they were').waitFor();
    },
    phone: true,
  },
  {
    name: 'dataset-recall-start',
    path: '/datasets/digits',
    act: async (page) => {
      await press(/^Recall/)(page);
      await page.getByText('on all devices at once').waitFor();
    },
    phone: true,
  },
  { name: 'tasks', path: '/tasks', phone: true },
  { name: 'task', path: '/tasks/org.example.digits', act: (page) => page.getByText('What the task says').waitFor(), phone: true },
  { name: 'pipelines', path: '/pipelines', phone: true },
  {
    name: 'pipelines-start',
    path: '/pipelines',
    act: async (page) => {
      await press(/^Run digits/)(page);
      await page.getByText('Parameters of this run').click();
      await page.getByLabel('Learning rate').fill('fast');
    },
    phone: true,
  },
  {
    name: 'pipeline',
    path: '/pipelines/digits',
    act: (page) =>
      page
        .getByRole('button', { name: /^Delete run/ })
        .first()
        .waitFor(),
    phone: true,
  },
  { name: 'pipeline-run-remove', path: '/pipelines/digits', act: press(/^Delete run/) },
  { name: 'tools', path: '/tools', phone: true },
  { name: 'tool', path: '/tools/train', act: (page) => page.getByText('Its parameters').waitFor(), phone: true },
  {
    name: 'tool-artifact-log',
    path: '/tools/train',
    act: async (page) => {
      await press('digits-2b8xq-train')(page);
      await page.getByText('line 40').waitFor();
    },
    phone: true,
  },
  {
    name: 'tool-artifact-measure',
    path: '/tools/train',
    act: async (page) => {
      await press('digits-2b8xq-train')(page);
      await page.getByRole('tab', { name: 'Metrics' }).click();
      await page.locator('canvas').first().waitFor();
    },
    phone: true,
  },
  { name: 'tool-artifact-remove', path: '/tools/train', act: press(/^Delete digits-2b8xq-train/) },
  { name: 'model-alias-add', path: '/models/digits', act: press('Aliases'), phone: true },
  { name: 'model-note-add', path: '/models/digits', act: press('Write a note'), phone: true },
  { name: 'runs', path: '/runs', phone: true },
  { name: 'runs-start', path: '/runs', act: press('Start a run') },
  { name: 'run', path: `/runs/${RUNNING_RUN}`, act: (page) => page.locator('canvas').first().waitFor(), phone: true },
  { name: 'run-table', path: `/runs/${RUNNING_RUN}`, act: press(/Table of loss/) },
  { name: 'run-criteria', path: '/runs/digits-2b8xq', act: (page) => page.getByText('Criteria of the task').waitFor(), phone: true },
  { name: 'run-sweep', path: '/runs/digits-s1ep0', act: (page) => page.getByText('(best)').waitFor() },
  { name: 'run-failed', path: '/runs/fabric-defects-5tt2h' },
  { name: 'models', path: '/models', phone: true },
  { name: 'model', path: '/models/digits', phone: true },
  {
    name: 'model-recall-deploy',
    path: '/models/digits',
    act: async (page) => {
      await press(/^Recall/)(page);
      await press('Recall to version 2')(page);
      await page.getByText('its rollout begins').waitFor();
    },
    phone: true,
  },
  { name: 'model-deploy', path: '/models/digits', act: press('Deploy') },
  {
    name: 'model-deploy-waves',
    path: '/models/digits',
    act: async (page) => {
      await press('Deploy')(page);
      await page.getByLabel('Reaches devices').selectOption('waves');
    },
    phone: true,
  },
  { name: 'rollouts', path: '/rollouts', phone: true },
  {
    name: 'rollout',
    path: '/rollouts/digits-2',
    act: (page) => page.getByText('Versions beside each other').first().waitFor(),
    phone: true,
  },
  { name: 'rollout-failed', path: '/rollouts/digits-gate-1' },
  { name: 'rollout-abort-remove', path: '/rollouts/digits-2', act: press('Abort'), phone: true },
  { name: 'model-build', path: '/models/digits', act: press('Build'), phone: true },
  { name: 'model-log', path: '/models/digits', act: press(/^Log of/) },
  { name: 'model-package-remove', path: '/models/digits', act: press(/^Remove package/) },
  {
    name: 'model-measure',
    path: '/models/digits',
    act: async (page) => {
      await press(/^Measure/)(page);
      await page.getByRole('dialog').getByRole('button', { name: 'Measure', exact: true }).click();
      await page.getByText('images/s over').waitFor();
    },
    phone: true,
  },
  {
    name: 'model-try',
    path: '/models/digits',
    act: async (page) => {
      await page.getByLabel('Picture to send').setInputFiles({ name: 'seven.png', mimeType: 'image/png', buffer: PICTURE });
      await page.getByText('there and back').waitFor();
    },
  },
];

const THEMES = ['light', 'dark'] as const;

async function open(browser: Browser, url: string, theme: (typeof THEMES)[number], width: number): Promise<Page> {
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: { width, height: width < 500 ? 844 : 900 },
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    // A refused request is part of the sign-in and of the error states.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(`console: ${message.text()}`);
  });
  await page.goto(`${url}/#/login?code=${LOGIN_CODE}`);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  return page;
}

async function audit(page: Page, name: string): Promise<void> {
  await page.evaluate(AXE);
  const violations: Violation[] = await page.evaluate('axe.run({ resultTypes: ["violations"] }).then((result) => result.violations)');
  for (const violation of violations) {
    const line = `${name}: ${violation.impact} ${violation.id}: ${violation.nodes.map((node) => `${node.html.slice(0, 160)} (${node.failureSummary.split('\n')[1]?.trim()})`).join(' | ')}`;
    if (violation.impact === 'serious' || violation.impact === 'critical') faults.push(line);
    else console.log(`note: ${line}`);
  }
  const wide = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  if (wide === true) faults.push(`${name}: the page scrolls sideways`);
}

async function visit(page: Page, url: string, { name, path, act }: Visit, suffix: string): Promise<void> {
  await page.goto('about:blank');
  await page.goto(`${url}/#${path}`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.locator('[role=status][aria-label^=Loading]').first().waitFor({ state: 'detached' });
  await act?.(page);
  await page.waitForTimeout(150);
  await audit(page, `${name} ${suffix}`);
  await page.screenshot({
    path: join(OUT, `${name}-${suffix}.png`),
    fullPage: !/add|token|remove|start|deploy|cli|build|log|measure/.test(name),
  });
}

async function checkSignIn(browser: Browser, url: string): Promise<void> {
  for (const theme of THEMES) {
    const page = await browser.newPage({ colorScheme: theme, viewport: { width: 1280, height: 900 } });
    await page.goto(`${url}/#/devices`);
    await page.getByLabel('API token').waitFor();
    await audit(page, `sign-in ${theme}`);
    await page.screenshot({ path: join(OUT, `sign-in-${theme}.png`) });
    await page.goto('about:blank');
    await page.goto(`${url}/#/login?code=used-before`);
    await page.getByRole('alert').waitFor();
    await page.screenshot({ path: join(OUT, `sign-in-refused-${theme}.png`) });
    await page.getByLabel('API token').fill(API_TOKEN);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.close();
  }
}

async function checkReconnect(page: Page, server: FixtureServer): Promise<void> {
  server.dropStreams();
  await page.getByText('Reconnecting').waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
}

const focused = (page: Page) => page.evaluate<string>('document.activeElement?.id || document.activeElement?.textContent || ""');

/** The skip link, the order of focus after navigation, and a dialog that gives the focus back. */
async function checkKeyboard(page: Page, url: string): Promise<void> {
  await page.goto(`${url}/#/devices`);
  await page.getByRole('heading', { name: 'Devices' }).waitFor();
  const expectFocus = async (wanted: string, when: string) => {
    const found = await focused(page);
    if (!found.includes(wanted)) faults.push(`keyboard: "${found.slice(0, 60)}" has the focus ${when}, not "${wanted}"`);
  };
  await expectFocus('Devices', 'after navigation');
  const add = page.getByRole('button', { name: 'Add device' });
  await add.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await expectFocus('Add device', 'after a dialog');
  await page.getByRole('button', { name: 'Skip to the content' }).focus();
  await page.keyboard.press('Enter');
  await expectFocus('content', 'after the skip link');
}

async function checkWorld(browser: Browser, suffix: string, server: FixtureServer, visits: Visit[]): Promise<void> {
  const url = await server.start();
  try {
    for (const theme of THEMES) {
      const page = await open(browser, url, theme, 1280);
      for (const item of visits) await visit(page, url, item, `${suffix}${theme}`);
      if (suffix === '' && ONLY === undefined) {
        await checkReconnect(page, server);
        await checkKeyboard(page, url);
      }
      await page.context().close();
      const phone = await open(browser, url, theme, 390);
      for (const item of visits.filter((entry) => entry.phone)) await visit(phone, url, item, `${suffix}phone-${theme}`);
      await phone.context().close();
    }
    if (suffix === '' && ONLY === undefined) await checkSignIn(browser, url);
  } finally {
    await server.stop();
  }
}

const chosen = (visits: Visit[]) => visits.filter(({ name }) => ONLY === undefined || ONLY.test(name));

mkdirSync(OUT, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
try {
  const plain = chosen(VISITS).filter(
    (item) => item.act === undefined && !item.name.startsWith('device-') && item.name !== 'run-failed' && item.name !== 'model',
  );
  await checkWorld(browser, '', new FixtureServer({ world: fullWorld(Date.now()), webFolder: WEB }), chosen(VISITS));
  await checkWorld(browser, 'empty-', new FixtureServer({ world: emptyWorld(Date.now()), webFolder: WEB }), plain);
  await checkWorld(
    browser,
    'failing-',
    new FixtureServer({ world: fullWorld(Date.now()), webFolder: WEB, failing: true }),
    plain.slice(0, 2),
  );
} finally {
  await browser.close();
}
for (const fault of new Set(faults)) console.error(`FAULT ${fault}`);
console.log(`${OUT}: ${new Set(faults).size} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
