// A device's end of the device port, for the agent and for simulated devices. What only joining needs is in ./joining.ts,
// so that a process that runs never loads it.
export { openBlob, postJson, tlsOptions } from './device-http.ts';
export { MqttClient, type MqttClientOptions } from './mqtt-client.ts';
export { MqttSession, type MqttSessionOptions } from './mqtt-session.ts';
export type { ServerAccess } from './server-access.ts';
export { parseServerUrl } from './server-address.ts';
export type { Endpoint } from './tls-endpoint.ts';
