export type { AgentCommands } from './agent-under-test.ts';
export { type DeviceVerification, parseRules, type RuleResult, verifyDevice } from './verify-device.ts';
