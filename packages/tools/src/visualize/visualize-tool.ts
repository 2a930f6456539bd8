import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, nameSchema } from '@selvedge/contract';
import { describeError, sleep } from '@selvedge/runtime';
import * as z from 'zod';
import { type BackgroundContext, defineTool, type Tool } from '../kit/index.ts';
import { ArtifactFollower } from './artifact-follower.ts';
import { GatewayClient } from './gateway-client.ts';
import { listEventFiles } from './list-event-files.ts';

/** Between two looks while something is being made, and while nothing is. */
const BUSY_INTERVAL_MS = 1000;
const IDLE_INTERVAL_MS = 5000;

/** Where the live event files are: below the folder that all artifacts of the tool share. */
const logdirIn = (cacheDir: string): string => join(cacheDir, 'logdir');

/**
 * Shows the metrics of all artifacts as TensorBoard event files: live in its log folder for as long as it runs, and as
 * artifacts, which are copies of that folder as it is when they are made.
 */
export function createVisualizeTool(): Tool {
  let follower: ArtifactFollower | undefined;
  return defineTool({
    name: 'visualize',
    description: 'Metrics, weight histograms and sample pictures of all artifacts as a TensorBoard log folder',
    class: 'models',
    makes: 'tensorboard-logdir',
    parameters: z.strictObject({
      /** Only what this run has made; everything when it is left out. */
      run: nameSchema.optional(),
    }),
    inputs: {},
    async background(ctx) {
      const [origin] = ctx.origins;
      if (origin === undefined) return;
      const { logger, signal } = ctx;
      const gateway = new GatewayClient({ origin, token: ctx.token, signal });
      follower = new ArtifactFollower({ gateway, logdir: logdirIn(ctx.cacheDir), logger });
      await keepFollowing(follower, ctx);
    },
    async create({ parameters, cacheDir, dataDir, log, signal }) {
      if (follower === undefined) {
        throw new AppError('CONFLICT', {
          message: 'This tool runs alone: there is no gateway that it could read other tools through.',
          hint: 'Start it with SELVEDGE_TRUSTED_ORIGINS, the origin of the server first.',
        });
      }
      await follower.round();
      const logdir = logdirIn(cacheDir);
      const files = (await listEventFiles(logdir)).filter(({ key }) => isOfRun(dirname(key), parameters.run));
      if (files.length === 0) {
        const what = parameters.run === undefined ? 'No artifact has' : `No artifact of run "${parameters.run}" has`;
        throw new AppError('CONFLICT', { message: `${what} metrics yet.`, hint: 'Make the log folder again when one has.' });
      }
      for (const { path } of files) {
        signal.throwIfAborted();
        await mkdir(join(dataDir, dirname(path)), { recursive: true });
        await copyFile(join(logdir, path), join(dataDir, path));
      }
      log(`${files.length} event files\nthe live log folder: ${logdir}\ntensorboard --logdir ${logdir}`);
    },
  });
}

/** The artifacts of a run are named `<run>.<step>`. */
function isOfRun(artifact: string, run: string | undefined): boolean {
  return run === undefined || artifact === run || artifact.startsWith(`${run}.`);
}

async function keepFollowing(follower: ArtifactFollower, { logger, signal }: BackgroundContext): Promise<void> {
  while (!signal.aborted) {
    let busy = false;
    try {
      busy = await follower.round();
    } catch (error) {
      if (!signal.aborted) logger.debug('the server does not answer; it is asked again', describeError(error));
    }
    await sleep(busy ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS, signal).catch(() => undefined); // aborted: the loop ends by its condition
  }
}
