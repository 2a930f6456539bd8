// A device's end of the device port, for the agent and for simulated devices. What only joining needs is in ./joining.ts,
// so that a process that runs never loads it.
export { askStanding } from './ask-standing.ts';
export { certificatesOf, isIssuedBy, renewalDueMs, sha256Of } from './certificate-facts.ts';
export { askDelta, askPackageDelta, getJson, openBlob, postJson } from './device-http.ts';
export { sendPart, sentBytes } from './device-uploads.ts';
export { LinkMeter } from './link-meter.ts';
export { MqttClient, type MqttClientOptions } from './mqtt-client.ts';
export { MqttSession, type MqttSessionOptions } from './mqtt-session.ts';
export type { ServerAccess } from './server-access.ts';
export { parseServerUrl } from './server-address.ts';
export { checkServer, connectToServer } from './server-check.ts';
