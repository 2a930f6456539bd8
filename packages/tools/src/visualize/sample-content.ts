import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { SummaryValue } from '../tensorboard/event-message.ts';
import type { GatewayClient } from './gateway-client.ts';
import { sampleImages } from './sample-images.ts';

/** Larger models are shown without histograms: they are read whole. */
const MAX_MODEL_BYTES = 256 * 1024 * 1024;

/** What is shown of a completed artifact besides its metrics: histograms of a model's weights, pictures of a dataset. */
export async function extrasOf(
  gateway: GatewayClient,
  { tool, artifact, type }: { tool: string; artifact: string; type: string },
): Promise<SummaryValue[]> {
  if (type === 'dataset') {
    return sampleImages({
      read: (path, maxBytes) => gateway.readFile(tool, artifact, path, maxBytes),
      lines: (path) => createInterface({ input: Readable.from(gateway.streamFile(tool, artifact, path), { objectMode: false }) }),
    });
  }
  if (type !== 'model') return [];
  const model = await gateway.readFile(tool, artifact, 'model.onnx', MAX_MODEL_BYTES);
  if (model === undefined) return [];
  const { weightHistograms } = await import('../tensorboard/weight-histograms.ts');
  return weightHistograms(model);
}
