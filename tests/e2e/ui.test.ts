import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasBrowser, launchBrowser, seriousViolations, settled, shotPath } from './harness/browser.ts';
import type { Product } from './harness/product.ts';
import { deploy, startTrained } from './harness/trained.ts';

describe.runIf(hasBrowser)('the web UI', () => {
  let product: Product;
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];

  beforeAll(async () => {
    product = await startTrained();
    await deploy(product);
    await product.startAgent('edge-1');
    await product.waitForDevice('edge-1', (device) => device.status.workloads.some((workload) => workload.state === 'serving'), 'serving');
    browser = await launchBrowser();
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(product.url) && !request.url().startsWith('data:')) errors.push(`request to ${request.url()}`);
    });
    await page.goto(product.loginUrl);
    await page.getByRole('navigation').first().waitFor();
  });
  afterAll(async () => {
    await browser?.close();
    await product.stop();
  });

  it.each([
    ['Overview', 'digits'],
    ['Devices', 'edge-1'],
    ['Datasets', 'digits'],
    ['Runs', 'digits-1'],
    ['Models', 'digits'],
  ])('%s shows real data in both themes, without a serious accessibility fault', async (name, text) => {
    await page.getByRole('navigation').first().getByRole('link', { name }).click();
    await page.getByRole('main').getByText(text).first().waitFor();
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await settled(page);
      await page.screenshot({ path: shotPath(`${name.toLowerCase()}-${colorScheme}`), fullPage: true });
      expect(await seriousViolations(page)).toEqual([]);
    }
  });

  it('a run shows its steps and the curve of its loss', async () => {
    await page.getByRole('navigation').first().getByRole('link', { name: 'Runs' }).click();
    await page.getByRole('link', { name: 'digits-1' }).first().click();
    await page.getByText('benchmark').first().waitFor();
    await page.locator('canvas').first().waitFor();
    await page.screenshot({ path: shotPath('run'), fullPage: true });
    expect(await seriousViolations(page)).toEqual([]);
  });

  it('a dataset shows samples, its classes, and what needs it', async () => {
    await page.getByRole('navigation').first().getByRole('link', { name: 'Datasets' }).click();
    await page.getByRole('link', { name: 'digits' }).first().click();
    await page.getByRole('table', { name: 'Samples per class' }).waitFor();
    const pictures = page.getByRole('listitem').getByRole('img');
    await pictures.first().waitFor();
    // Not page.waitForFunction: it evaluates a string in the page each time it looks, which the page's policy forbids.
    await expect
      .poll(() => page.evaluate('[...document.querySelectorAll("figure img")].slice(0, 3).every((image) => image.naturalWidth > 0)'))
      .toBe(true);
    expect(await pictures.count()).toBe(24);
    await page.getByText('run/digits-1').waitFor();
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('as they were').waitFor();
    await page.screenshot({ path: shotPath('dataset'), fullPage: true });
    expect(await seriousViolations(page)).toEqual([]);
  });

  it('changes come by themselves: a device that comes and goes', async () => {
    await page.getByRole('navigation').first().getByRole('link', { name: 'Devices' }).click();
    const agent = await product.startAgent('edge-2');
    const row = page.getByRole('row').filter({ hasText: 'edge-2' });
    await row
      .getByText(/online/i)
      .first()
      .waitFor();
    await agent.kill('SIGKILL');
    await row
      .getByText(/offline/i)
      .first()
      .waitFor();
  });

  it('edits a device, makes and revokes a token, and says what a dataset went into', async () => {
    await page.goto(`${product.url}/#/devices/edge-1`);
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByLabel('Notes').fill('Lens cleaned.');
    await page.getByLabel('Latitude').fill('91');
    await page.getByText('Degrees north from -90 to 90').waitFor();
    await page.getByLabel('Latitude').fill('52.52');
    await page.getByLabel('Longitude').fill('13.405');
    await page.getByLabel('Traffic, MiB a day').fill('0');
    await page.getByText('MiB from 0.01 to 1,048,576').waitFor();
    await page.getByLabel('Traffic, MiB a day').fill('50');
    await page.getByText('--traffic-mib-per-day 50').waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('52.52, 13.405').waitFor();
    const { spec, metadata } = await product.device('edge-1');
    const location = { latitude: 52.52, longitude: 13.405 };
    expect(spec).toEqual({ notes: 'Lens cleaned.', location, budgets: { trafficMiBPerDay: 50 } });
    expect(metadata.labels.site).toBe('test');
    await page.goto(`${product.url}/#/devices/joining`);
    await page.getByText('Current', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'New token' }).first().click();
    await page.getByLabel('Labels').fill('site=annex');
    await page.getByRole('button', { name: 'Make token' }).click();
    await page.getByRole('button', { name: 'Done' }).click();
    const row = page.getByRole('row').filter({ hasText: 'site=annex' });
    await row.getByRole('button', { name: /^Revoke/ }).click();
    await page.getByRole('button', { name: 'Revoke token', exact: true }).click();
    await row.waitFor({ state: 'detached' });
    await page.goto(`${product.url}/#/datasets/digits`);
    await page.getByRole('button', { name: /^Recall/ }).click();
    const found = page.getByRole('table', { name: 'Devices that run something made from it' });
    await found.getByRole('row').filter({ hasText: 'edge-1' }).getByText('digits:1').waitFor();
    await page.getByText('there is none to go to').waitFor();
    expect(await seriousViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Cancel' }).click();
  });

  it('a login link works once', async () => {
    const other = await browser.newContext();
    const second = await other.newPage();
    await second.goto(product.loginUrl);
    await second.getByRole('textbox').first().waitFor();
    expect(await second.getByRole('navigation').count()).toBe(0);
    await other.close();
  });

  it('asks nobody but its own server, and throws nothing', () => {
    expect(errors).toEqual([]);
  });
});
