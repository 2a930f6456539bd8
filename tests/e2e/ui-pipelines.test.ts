import type { AnyDocument, Run } from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasBrowser, launchBrowser, shotPath } from './harness/browser.ts';
import type { Product } from './harness/product.ts';
import { startTrained } from './harness/trained.ts';

const TASK = 'dev.selvedge.test.digits';
const ENVELOPE = { apiVersion: 'selvedge.dev/v1alpha1' as const };

describe.runIf(hasBrowser)('tasks, pipelines and aliases in the web UI', () => {
  let product: Product;
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];

  beforeAll(async () => {
    product = await startTrained();
    await applyTask();
    browser = await launchBrowser();
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(60_000);
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(product.loginUrl);
    await page.getByRole('navigation').first().waitFor();
  });
  afterAll(async () => {
    await browser?.close();
    await product.stop();
  });

  /** The pipeline that is there gets a task, one criterion of which names a dataset. */
  async function applyTask(): Promise<void> {
    const client = await product.api();
    const pipeline = await client.getResource({ params: { plural: 'pipelines', name: 'digits' } });
    if (pipeline.kind !== 'Pipeline') throw new Error('no pipeline');
    const text = { description: 'Read a digit.', output: 'The digit.', constraints: 'none', archives: [], cost_function: 'loss' };
    const criteria = ['accuracy', { metric: 'accuracy' as const, threshold: 0.01, dataset: 'digits@1' }];
    const documents: AnyDocument[] = [
      {
        ...ENVELOPE,
        kind: 'Task',
        metadata: { name: TASK },
        spec: { ...text, evaluation_criterias: criteria, evaluation_dataset: 'digits' },
      },
      { ...ENVELOPE, kind: 'Pipeline', metadata: { name: 'digits' }, spec: { ...pipeline.spec, task: TASK } },
    ];
    await client.apply({ body: { documents } });
  }

  const open = (name: string) => page.getByRole('navigation').first().getByRole('link', { name }).click();

  it('a run is started from the list of pipelines with a parameter, and measures on the dataset that the task names', async () => {
    await open('Pipelines');
    await page.getByRole('button', { name: 'Run digits' }).click();
    await page.getByText('Parameters of this run').click();
    await page.getByLabel('Epochs').fill('1');
    await page.getByText('selvedge pipeline run digits --set epochs=1 --watch').waitFor();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('heading', { name: 'digits-2' }).waitFor();
    const client = await product.api();
    const run = await waitUntil(
      async (): Promise<Run | undefined> => {
        const found = await client.getResource({ params: { plural: 'runs', name: 'digits-2' } });
        return found.kind === 'Run' && ['Succeeded', 'Failed'].includes(found.status.phase) ? found : undefined;
      },
      { timeoutMs: 240_000, what: 'run digits-2 to end' },
    );
    expect(run.status.message).toBe('registered digits/2');
    expect(run.spec.pipelineSpec.model.hyperparams.epochs).toBe(1);
    const [own, named] = run.status.criteria ?? [];
    expect(named).toMatchObject({ metric: 'accuracy', dataset: 'digits@1', wanted: 0.01, passed: true });
    // the dataset is the run's own here: the same pictures through the same steps give the same number
    expect(named?.value).toBe(own?.value);
    await page.getByText('on digits@1').first().waitFor();
  });

  it('the page of the task shows its pipelines by its criteria', async () => {
    await open('Tasks');
    await page.getByRole('link', { name: TASK }).click();
    await page.getByRole('columnheader', { name: 'accuracy >= 0.01 on digits@1' }).waitFor();
    await page.getByRole('row').filter({ hasText: 'digits-2' }).getByText('1 passed').waitFor();
    await page.screenshot({ path: shotPath('task'), fullPage: true });
  });

  it('the page of the pipeline shows runs, tools and artifacts, and deletes one', async () => {
    await open('Pipelines');
    await page.getByRole('link', { name: 'digits', exact: true }).first().click();
    await page.getByRole('button', { name: 'digits-2.eval-1-benchmark', exact: true }).click();
    await page.getByRole('region', { name: 'Log of digits-2.eval-1-benchmark' }).getByText('samples:').waitFor();
    await page.getByRole('button', { name: 'Close', exact: true }).last().click();
    await page.getByRole('button', { name: 'digits-2.train', exact: true }).click();
    await page.getByRole('tab', { name: 'Weights' }).click();
    await page
      .getByRole('img', { name: /^W1: 144 values from / })
      .first()
      .waitFor();
    await page.screenshot({ path: shotPath('weights') });
    await page.getByRole('button', { name: 'Close', exact: true }).last().click();
    await page.getByRole('button', { name: 'Delete digits-2.eval-1-process' }).click();
    await page.getByRole('button', { name: 'Delete artifact' }).click();
    await page.getByText('Artifact digits-2.eval-1-process is deleted.').waitFor();
    await page.screenshot({ path: shotPath('pipeline'), fullPage: true });
  });

  it('an alias is set on the page of the model', async () => {
    await open('Models');
    await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
    await page.getByRole('main').getByRole('link', { name: 'digits', exact: true }).click();
    await page.getByRole('button', { name: 'Aliases' }).click();
    await page.getByLabel('Version', { exact: true }).selectOption('1');
    await page.getByRole('button', { name: 'Set alias' }).click();
    await page.getByRole('button', { name: 'Remove alias champion' }).waitFor();
    const { model } = await (await product.api()).getModel({ params: { name: 'digits' } });
    expect(model.status.aliases).toEqual({ latest: '2', champion: '1' });
  });

  it('throws nothing', () => {
    expect(errors).toEqual([]);
  });
});
