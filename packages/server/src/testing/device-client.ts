import 'reflect-metadata';
import { randomUUID, webcrypto } from 'node:crypto';
import { request } from 'node:https';
import { buffer } from 'node:stream/consumers';
import * as x509 from '@peculiar/x509';
import {
  type DesiredState,
  type DeviceTopic,
  desiredStateSchema,
  deviceTopic,
  joinResponseSchema,
  parseJoinToken,
  SERVER_TLS_NAME,
} from '@selvedge/contract';
import { waitUntil } from '@selvedge/runtime';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';

/** A fresh key and a certificate request for it, as an agent makes them. */
export async function makeRequest(
  subject = 'CN=agent',
  algorithm: Parameters<typeof webcrypto.subtle.generateKey>[0] = { name: 'ECDSA', namedCurve: 'P-256' } as never,
): Promise<{ csrPem: string; keyPem: string }> {
  const keys = (await webcrypto.subtle.generateKey(algorithm as never, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificateRequest = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys,
    signingAlgorithm: { hash: 'SHA-256', ...(algorithm as object) } as never,
  });
  const keyPem = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { csrPem: certificateRequest.toString('pem'), keyPem };
}

export interface Identity {
  name: string;
  key: string;
  cert: string;
  ca: string;
}

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: Buffer;
  json: () => Record<string, unknown>;
}

/** One request to the device port, on a connection of its own. */
export async function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: unknown; identity?: Identity | undefined } = {},
): Promise<Answer> {
  const { identity, body, ...rest } = options;
  const tls = identity === undefined ? { rejectUnauthorized: false } : { key: identity.key, cert: identity.cert, ca: identity.ca };
  return await new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, servername: SERVER_TLS_NAME, agent: false, ...rest, ...tls }, (response) => {
      buffer(response).then((content) => {
        const { statusCode, headers } = response;
        resolve({ status: statusCode ?? 0, headers, body: content, json: () => JSON.parse(content.toString('utf8')) });
      }, reject);
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Joins as an agent does. */
export async function join(port: number, token: string, name?: string): Promise<Identity> {
  const { secret } = parseJoinToken(token);
  const { csrPem, keyPem } = await makeRequest();
  const answer = await ask(port, '/device/v1/join', { method: 'POST', body: { secret, csrPem, ...(name === undefined ? {} : { name }) } });
  if (answer.status !== 201) throw Object.assign(new Error(`join was answered with ${answer.status}`), answer.json());
  const { device, certificatePem, caPem } = joinResponseSchema.parse(answer.json());
  return { name: device, key: keyPem, cert: certificatePem, ca: caPem };
}

export function mqttOptions(port: number, identity: Identity, overrides: IClientOptions = {}): IClientOptions {
  const { name, key, cert, ca } = identity;
  return {
    protocol: 'mqtts',
    host: '127.0.0.1',
    port,
    servername: SERVER_TLS_NAME,
    key,
    cert,
    ca,
    clientId: name,
    username: randomUUID(),
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: 5_000,
    ...overrides,
  } as IClientOptions;
}

/** An agent's side of the device channel. */
export class TestDevice {
  readonly name: string;
  readonly instanceId: string;
  readonly client: MqttClient;
  readonly desired: DesiredState[] = [];
  readonly received: { topic: string; payload: Buffer }[] = [];
  #sequence = 0;

  constructor(client: MqttClient, name: string, instanceId: string) {
    this.client = client;
    this.name = name;
    this.instanceId = instanceId;
    client.on('error', () => undefined);
    client.on('message', (topic, payload) => {
      this.received.push({ topic, payload });
      if (topic === deviceTopic(name, 'desired') && payload.length > 0)
        this.desired.push(desiredStateSchema.parse(JSON.parse(payload.toString())));
    });
  }

  static async connect(
    port: number,
    identity: Identity,
    instanceId: string = randomUUID(),
    { retainsPresence = false }: { retainsPresence?: boolean } = {},
  ): Promise<TestDevice> {
    const will = { topic: deviceTopic(identity.name, 'presence'), qos: 1 as const, retain: retainsPresence };
    const payload = Buffer.from(JSON.stringify({ v: 1, online: false, instanceId }));
    const client = await connectAsync(mqttOptions(port, identity, { username: instanceId, will: { ...will, payload } }));
    const device = new TestDevice(client, identity.name, instanceId);
    await client.subscribeAsync([deviceTopic(identity.name, 'desired'), deviceTopic(identity.name, 'commands')], { qos: 1 });
    return device;
  }

  publish(topic: DeviceTopic, message: object): Promise<unknown> {
    return this.client.publishAsync(deviceTopic(this.name, topic), JSON.stringify({ v: 1, ...message }), { qos: 1 });
  }

  /** Reports that it serves everything that it was last told. */
  async reportServing(overrides: object = {}): Promise<void> {
    const desired = this.desired.at(-1);
    const workloads = (desired?.workloads ?? []).map((workload, index) => ({
      name: workload.name,
      model: workload.model,
      desiredVersion: workload.version,
      servingVersion: workload.version,
      previousVersion: null,
      state: 'serving',
      port: workload.servingPort === 0 ? 9000 + index : workload.servingPort,
      progress: null,
      error: null,
      restarts: 0,
      servingSince: new Date().toISOString(),
      ...overrides,
    }));
    await this.report(workloads, desired?.revision ?? 0);
  }

  async report(workloads: object[], observedRevision: number, sequence = this.#sequence): Promise<void> {
    this.#sequence = sequence + 1;
    const info = {
      agentVersion: '0',
      hostname: `host-${this.name}`,
      arch: 'x64',
      platform: 'linux',
      osRelease: '',
      cpuModel: '',
      cpus: 1,
      memoryBytes: 1,
    };
    await this.publish('reported', { sequence, instanceId: this.instanceId, observedRevision, info, workloads });
  }

  untilDesired(check: (state: DesiredState) => boolean): Promise<DesiredState> {
    return waitUntil(() => this.desired.findLast(check), { timeoutMs: 5_000, intervalMs: 1, what: `a desired state for ${this.name}` });
  }
}
