// First part of `npm run bench:train`; alone `npx tsx tests/bench/train-step.ts [--threads N] [--python /usr/bin/python3]`: images per second of
// a training step alone (forward, loss, backward, optimiser), best of ten runs of ten steps; by the clock, and by CPU time, which other
// work on the machine disturbs less. Where that Python has PyTorch, it takes the same steps in turn with ours, and `ratio` is ours to its.
import { parseArgs } from 'node:util';
import { buildDetector, buildEmbedding, detectionGridOf, detectionTargets, prepareGrid } from '@selvedge/graph/networks';
import { buildNetwork, createRandom, type Model } from '@selvedge/graph/onnx';
import { createTrainer, type LossSpec, optimizerFrom } from '@selvedge/graph/train';
import { TrainPeer } from './train-peer.ts';

const { values } = parseArgs({
  options: { threads: { type: 'string', default: '1' }, python: { type: 'string', default: '/usr/bin/python3' } },
});
const threads = Number(values.threads);
const RUNS = 10;
const STEPS = 10;
const CLASSES = 10;
/** Those that train-peer.py has as well. */
const PEER_NETWORKS: readonly string[] = ['small-cnn', 'mobilenet-tiny'];

interface Subject {
  readonly name: string;
  readonly model: Model;
  readonly loss: LossSpec;
  readonly inputShape: readonly [number, number, number];
  readonly batchSize: number;
}

const seed = 1;
const network = (name: 'small-cnn' | 'mobilenet-tiny', inputShape: Subject['inputShape'], batchSize: number): Subject => ({
  name,
  inputShape,
  batchSize,
  loss: 'cross-entropy',
  model: buildNetwork({ layers: name, inputShape, classes: CLASSES, seed }),
});
const detector = buildDetector({ inputShape: [3, 96, 96], classes: 3, strides: [8], seed });
const SUBJECTS: readonly Subject[] = [
  network('small-cnn', [1, 28, 28], 64),
  network('small-cnn', [3, 32, 32], 32),
  network('mobilenet-tiny', [3, 32, 32], 32),
  { name: 'tiny-detector', inputShape: [3, 96, 96], batchSize: 16, loss: { kind: 'detection' }, model: detector },
  {
    name: 'embedding',
    inputShape: [3, 32, 32],
    batchSize: 32,
    loss: { kind: 'identity', identities: CLASSES },
    model: buildEmbedding({ inputShape: [3, 32, 32], size: 64, seed }),
  },
];

function labelsOf({ loss, batchSize }: Subject): Int32Array | Float32Array {
  if (typeof loss === 'string' || loss.kind !== 'detection') return Int32Array.from({ length: batchSize }, (_, i) => i % CLASSES);
  const one = detectionTargets([{ box: [20, 20, 50, 60], index: 1 }], prepareGrid(detectionGridOf(detector)));
  return Float32Array.from({ length: batchSize * one.length }, (_, i) => one[i % one.length] ?? 0);
}

interface Milliseconds {
  clock: number;
  cpu: number;
}

function keepBest(best: Milliseconds, one: Milliseconds): void {
  best.clock = Math.min(best.clock, one.clock);
  best.cpu = Math.min(best.cpu, one.cpu);
}

const peer = await TrainPeer.start(values.python, { threads, steps: STEPS });
for (const subject of SUBJECTS) {
  const { name, model, loss, inputShape, batchSize } = subject;
  const random = createRandom(2);
  const x = Float32Array.from({ length: batchSize * inputShape.reduce((a, b) => a * b, 1) }, () => random.normal());
  const batch = { x, y: labelsOf(subject) };
  const trainer = await createTrainer({ model, loss, optimizer: optimizerFrom({}), batchSize, threads });
  const best = { clock: Number.POSITIVE_INFINITY, cpu: Number.POSITIVE_INFINITY };
  const peers = { ...best };
  const hasPeer = peer !== undefined && PEER_NETWORKS.includes(name);
  for (let run = 0; run <= RUNS; run++) {
    const begin = { clock: performance.now(), cpu: process.cpuUsage() };
    for (let step = 0; step < STEPS; step++) await trainer.trainStep(batch, 1e-3);
    const { user, system } = process.cpuUsage(begin.cpu);
    const ours = { clock: performance.now() - begin.clock, cpu: (user + system) / 1000 };
    const theirs = hasPeer ? await peer.run({ name, input: inputShape, batch: batchSize }) : undefined;
    // The first run warms up.
    if (run === 0) continue;
    keepBest(best, ours);
    if (theirs !== undefined) keepBest(peers, theirs);
  }
  await trainer.close();
  const ratio = (theirs: number, ours: number) => Number((theirs / ours).toFixed(2));
  const rate = (ms: number) => Math.round((1000 * STEPS * batchSize) / ms);
  const line = {
    name,
    input: inputShape.join('x'),
    batchSize,
    threads,
    imagesPerSecond: rate(best.clock),
    imagesPerCpuSecond: rate(best.cpu),
    ...(hasPeer ? { pytorch: { imagesPerSecond: rate(peers.clock), imagesPerCpuSecond: rate(peers.cpu) } } : {}),
    ...(hasPeer ? { ratio: { clock: ratio(peers.clock, best.clock), cpu: ratio(peers.cpu, best.cpu) } } : {}),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
await peer?.stop();
