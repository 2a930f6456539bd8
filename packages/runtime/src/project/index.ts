export { findToolFile, type LocalTool, PROJECT_FILE, type RemoteTool, readProject } from './read-project.ts';
export { toolCommandOf, toolTestCommand } from './tool-command.ts';
export type { ToolCommand, ToolInstallation } from './tool-installation.ts';
