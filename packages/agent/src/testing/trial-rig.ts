import type { ChildProcess } from 'node:child_process';
import { Agent, request } from 'node:http';
import { GOLDEN_SET_PAYLOAD_TYPE, type GoldenSet, type Trial, type WorkloadReport } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import { signEnvelope } from '@selvedge/runtime/package-sealing';
import { AgentRig, picture } from './agent-rig.ts';
import { makePackage, type TestPackage } from './make-package.ts';

const DEVICE = 'device-1';

/** Clients with kept connections that ask all the time, and what they were answered. */
export class Load {
  readonly versions: string[] = [];
  failed = 0;
  readonly #agent = new Agent({ keepAlive: true });
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(port: number, body: Buffer, clients = 2) {
    this.#clients = Array.from({ length: clients }, () => this.#ask(port, body));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  async #ask(port: number, body: Buffer): Promise<void> {
    while (!this.#stopped) {
      try {
        this.versions.push(await this.#once(port, body));
      } catch {
        this.failed += 1;
      }
    }
  }

  #once(port: number, body: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'image/png', 'content-length': body.length };
      const call = request({ host: '127.0.0.1', port, method: 'POST', path: '/v1/infer', agent: this.#agent, headers }, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode !== 200) reject(new Error(`HTTP ${response.statusCode}`));
          else resolve(JSON.parse(text).version);
        });
      });
      // As clients do: one whose connection went to a process that hangs is not to wait for ever.
      call.setTimeout(10_000, () => call.destroy(new Error('no answer in 10 s')));
      call.on('error', reject);
      call.end(body);
    });
  }
}

/** An agent that serves version 1, and a version 2 to be put on trial. */
export class TrialRig {
  readonly agent: AgentRig;
  readonly one = makePackage({ version: '1' });
  readonly two: TestPackage;
  #port = 0;

  private constructor(agent: AgentRig, two: TestPackage) {
    this.agent = agent;
    this.two = two;
  }

  /** @param two - default as version 1 with another gain. */
  static async start(two = makePackage({ version: '2', gain: 1.001 })): Promise<TrialRig> {
    const rig = new TrialRig(await AgentRig.start(), two);
    await rig.agent.join();
    for (const pack of [rig.one, rig.two]) rig.server.addPackage(pack);
    return rig;
  }

  get server() {
    return this.agent.server;
  }

  /** The serving port. */
  get port(): number {
    return this.#port;
  }

  /** Runs the agent until version 1 serves. */
  async serveOne(env: Record<string, string> = {}): Promise<ChildProcess> {
    await this.server.desire(DEVICE, [this.server.workload(this.one)]);
    const agent = this.agent.run(env);
    const isServing = (workload: WorkloadReport) => workload.servingVersion === '1' && workload.state === 'serving';
    const { port } = await this.server.reported('serves 1', isServing, 'colours', 60_000);
    this.#port = port ?? 0;
    return agent;
  }

  async load(clients = 2): Promise<Load> {
    return new Load(this.#port, await picture(), clients);
  }

  desireTwo(trial: Partial<Trial> = {}, more: object = {}): Promise<void> {
    const full: Trial = { id: 'trial-1', mode: 'serve', durationS: 300, minRequests: 0, gates: {}, ...trial };
    return this.server.desire(DEVICE, [this.server.workload(this.two, { trial: full, ...more })]);
  }

  trialIs(state: string, timeoutMs = 60_000): Promise<WorkloadReport> {
    return this.server.reported(`has a trial that is ${state}`, ({ trial }) => trial?.state === state, 'colours', timeoutMs);
  }

  /** The trial has failed, and the old version has its traffic back. */
  async reverted(timeoutMs = 60_000) {
    const isBack = ({ trial, servingVersion }: WorkloadReport) =>
      trial?.state === 'failed' && trial.revertedInMs !== null && servingVersion === '1';
    const { trial, ...workload } = await this.server.reported('is back at version 1', isBack, 'colours', timeoutMs);
    if (trial === undefined || trial === null || trial.failure === null) throw new Error('the trial has no reason');
    if (process.env.SELVEDGE_SHOW_REVERTS !== undefined)
      process.stderr.write(`reverted in ${trial.revertedInMs} ms: ${trial.failure.message}\n`);
    return { ...workload, trial: { ...trial, failure: trial.failure } };
  }

  /** A signed golden set of green pictures that are to be answered so. */
  async addGolden(label: string, change: (text: string) => string = (text) => text): Promise<{ sha256: string; sizeBytes: number }> {
    const sample = { contentType: 'image/png', bodyBase64: (await picture()).toString('base64'), label };
    const set: GoldenSet = {
      formatVersion: 1,
      dataset: 'colours@1',
      metric: 'accuracy',
      samples: Array.from({ length: 10 }, () => sample),
    };
    const envelope = signEnvelope(Buffer.from(JSON.stringify(set)), await this.server.packageSigner(), GOLDEN_SET_PAYLOAD_TYPE);
    const bytes = Buffer.from(change(JSON.stringify(envelope)));
    this.server.blobs.set(sha256Hex(bytes), bytes);
    return { sha256: sha256Hex(bytes), sizeBytes: bytes.length };
  }
}
