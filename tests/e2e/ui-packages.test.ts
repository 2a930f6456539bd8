import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TEST_TARGETS_DIR, testTarget } from '../native/harness/targets.ts';
import { hasBrowser, launchBrowser, shotPath, violations } from './harness/browser.ts';
import type { Product } from './harness/product.ts';
import { SMALL_PIPELINE } from './harness/small-pipeline.ts';
import { startTrained } from './harness/trained.ts';

const TARGET = 'linux-amd64';
const PACKAGE = 'digits.1.linux-amd64.fp32';
const BUILD_MS = 200_000;

const ENVELOPE = { apiVersion: 'selvedge.dev/v1alpha1' };

/** Constraints that the package keeps once it is measured. */
const TASK = {
  ...ENVELOPE,
  kind: 'Task',
  metadata: { name: 'dev.selvedge.test.digits' },
  spec: {
    description: 'Read a digit.',
    output: 'The digit.',
    constraints: 'p95Ms <= 2000\nrssMiB <= 512\nimagesPerS >= 1',
    archives: [],
    evaluation_criterias: ['accuracy'],
    cost_function: 'Cross-entropy.',
    evaluation_dataset: 'test/',
  },
};

describe.runIf(hasBrowser)('native packages in the web UI', () => {
  let product: Product;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    process.env.SELVEDGE_TARGETS_DIR = TEST_TARGETS_DIR;
    await testTarget(TARGET);
    product = await startTrained();
    await product.startAgent('edge-1');
    browser = await launchBrowser();
    context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' });
    page = await context.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) faults.push(message.text());
    });
    await page.goto(product.loginUrl);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
  });
  afterAll(async () => {
    await browser?.close();
    await product?.stop();
  });

  async function apply(document: object): Promise<void> {
    const result = await product.cli(['apply', '-f', '-'], { input: JSON.stringify(document) });
    expect(result.code, result.stderr).toBe(0);
  }

  async function showModel(): Promise<Locator> {
    await page.getByRole('navigation').first().getByRole('link', { name: 'Models' }).click();
    // the page before has links of that name too
    await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
    await page.getByRole('main').getByRole('link', { name: 'digits' }).first().click();
    await page.getByRole('heading', { name: 'digits', level: 1 }).waitFor();
    return page.getByRole('region', { name: 'Native packages' });
  }

  const dialog = () => page.getByRole('dialog');
  const shot = (name: string) => page.screenshot({ path: shotPath(`packages-${name}`) });

  it('builds one: chosen in a dialog, with its progress as it goes on, its log, and the archive at the end', async () => {
    const packages = await showModel();
    await packages.getByText('None yet').waitFor();
    await packages.getByRole('button', { name: 'Build' }).click();
    const choice = dialog().getByRole('checkbox', { name: TARGET });
    await choice.waitFor();
    expect(await choice.isChecked(), 'targets of devices that are online are chosen already').toBe(true);
    await dialog().getByText(`selvedge build create digits:1 --target ${TARGET}`).waitFor();
    await shot('build');
    expect(await violations(page)).toEqual([]);
    await dialog().getByRole('button', { name: 'Build' }).click();
    await dialog().waitFor({ state: 'detached' });

    await packages.getByRole('progressbar', { name: `Build of ${PACKAGE}` }).waitFor();
    await packages.getByRole('button', { name: `Log of ${PACKAGE}` }).click({ timeout: 60_000 });
    await dialog().getByText('build: attempt 1').waitFor();
    // Nothing is loaded anew: log and state come as the build goes on.
    await dialog()
      .getByText(/^(Ready|Failed)$/)
      .waitFor({ timeout: BUILD_MS });
    await dialog()
      .getByText(/built in|== failed/)
      .waitFor();
    expect(
      await dialog()
        .getByRole('region', { name: `Log of ${PACKAGE}` })
        .textContent(),
    ).not.toContain('== failed');
    await shot('log');
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await packages.getByText('xnnpack fp32').waitFor();

    const href = await packages.getByRole('link', { name: `Download ${PACKAGE}` }).getAttribute('href');
    const archive = await context.request.get(new URL(href ?? '', product.url).href);
    expect(archive.status()).toBe(200);
    expect(archive.headers()['content-type']).toBe('application/zstd');
    expect((await archive.body()).subarray(0, 4).toString('hex'), 'the magic number of zstd').toBe('28b52ffd');
  });

  it('measures it on a device, which answers the gates of the task', async () => {
    const packages = await showModel();
    await apply(TASK);
    const metadata = { name: 'digits' };
    await apply({ ...ENVELOPE, kind: 'Pipeline', metadata, spec: { ...SMALL_PIPELINE, task: TASK.metadata.name } });
    const gates = page.getByRole('table', { name: 'Gates of version 1' });
    await gates.getByText('Not measured').first().waitFor();
    expect(await violations(page)).toEqual([]);

    await packages.getByRole('button', { name: `Measure ${PACKAGE} on a device` }).click();
    await dialog().getByText(`selvedge bench ${PACKAGE} --on edge-1 --seconds 5`).waitFor();
    await dialog().getByRole('button', { name: 'Measure', exact: true }).click();
    await dialog().getByText('images/s over').waitFor({ timeout: 60_000 });
    await shot('measured');
    expect(await violations(page)).toEqual([]);
    await dialog().getByRole('button', { name: 'Close' }).first().click();
    await packages.getByRole('row').filter({ hasText: 'edge-1' }).waitFor();
    await gates.getByText('Passed').nth(2).waitFor();
    await shot('model');
    expect(await violations(page)).toEqual([]);
  });

  it('deploys from the page of the run in two presses, and the device runs the package', async () => {
    await page.getByRole('navigation').first().getByRole('link', { name: 'Runs' }).click();
    await page.getByRole('link', { name: 'digits-1' }).first().click();
    await page.getByRole('main').getByRole('link', { name: 'Deploy' }).click();
    await dialog().getByRole('combobox', { name: 'Version' }).waitFor();
    expect(await dialog().getByRole('combobox', { name: 'Version' }).inputValue()).toBe('1');
    expect(await violations(page)).toEqual([]);
    await dialog().getByRole('button', { name: 'Deploy' }).click();
    await dialog().waitFor({ state: 'detached' });
    const deployments = page.getByRole('region', { name: 'Deployments' });
    await deployments.getByText('Serving').nth(1).waitFor({ timeout: 60_000 });
    await deployments.getByRole('link', { name: 'edge-1' }).click();
    await page.getByRole('region', { name: 'Workloads' }).getByText(PACKAGE).waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('says why a build failed and what to do, and tries it again', async () => {
    const broken = {
      ...ENVELOPE,
      kind: 'Package',
      metadata: { name: 'digits.broken' },
      spec: { model: 'digits', version: '1', target: TARGET, build: { sources: [{ path: 'broken.cc', text: 'int x = ;\n' }] } },
    };
    const packages = await showModel();
    await apply(broken);
    await packages.getByText('A source does not compile').waitFor({ timeout: 60_000 });
    await packages.getByText('Mend the source').waitFor();
    await shot('failed');
    expect(await violations(page)).toEqual([]);
    await packages.getByRole('button', { name: 'Try again to build digits.broken' }).click();
    await packages.getByRole('progressbar', { name: 'Build of digits.broken' }).waitFor();
    await packages.getByText('A source does not compile').waitFor({ timeout: 60_000 });
    await packages.getByRole('button', { name: 'Remove package digits.broken' }).click();
    await dialog().getByText('selvedge delete package digits.broken').waitFor();
    await dialog().getByRole('button', { name: 'Remove package' }).click();
    await packages.getByText('A source does not compile').waitFor({ state: 'detached' });
  });

  it('throws nothing, and keeps to the content policy', () => {
    expect(faults).toEqual([]);
  });
});
