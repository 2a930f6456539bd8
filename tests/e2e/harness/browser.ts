import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const CHROMIUM = process.env.SELVEDGE_CHROMIUM;
/** It asks nobody but the product. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const SHOTS = process.env.SELVEDGE_SHOTS ?? join(tmpdir(), 'selvedge-shots');
const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface AxeResult {
  violations: { id: string; impact: string | null; nodes: { html: string }[] }[];
}

export const hasBrowser = CHROMIUM !== undefined;

export async function launchBrowser(): Promise<Browser> {
  if (CHROMIUM === undefined) throw new Error('SELVEDGE_CHROMIUM is not set');
  await mkdir(SHOTS, { recursive: true });
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/** Where the picture of a page goes. */
export function shotPath(name: string): string {
  return join(SHOTS, `${name}.png`);
}

/** Waits for animations: a colour in the middle of its transition is nobody's design. */
export async function settled(page: Page): Promise<void> {
  await page.evaluate(
    'Promise.allSettled(document.getAnimations().filter((a) => a.effect?.getComputedTiming().iterations !== Infinity).map((a) => a.finished))',
  );
}

async function axeViolations(page: Page): Promise<AxeResult['violations']> {
  // Evaluated by the browser's debugger: the page's own content policy, rightly, lets no foreign script in.
  await page.evaluate(await readFile(axePath, 'utf8'));
  return ((await page.evaluate('axe.run(document)')) as AxeResult).violations;
}

const told = ({ id, nodes }: AxeResult['violations'][number]): string => `${id}: ${nodes[0]?.html}`;

/** Accessibility faults of the page as it is. */
export async function violations(page: Page): Promise<string[]> {
  return (await axeViolations(page)).map(told);
}

/** Those of them that are serious or critical. */
export async function seriousViolations(page: Page): Promise<string[]> {
  return (await axeViolations(page)).filter(({ impact }) => ['serious', 'critical'].includes(impact ?? '')).map(told);
}
