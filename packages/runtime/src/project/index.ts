export { findToolFile, type LocalTool, PROJECT_FILE, type RemoteTool, readProject } from './read-project.ts';
export { type ToolCommand, type ToolInstallation, toolCommandOf, toolTestCommand } from './tool-command.ts';
