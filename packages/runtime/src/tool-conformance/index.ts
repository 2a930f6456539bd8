export { type CheckResult, type ToolVerification, type VerifyToolOptions, verifyTool } from './verify-tool.ts';
