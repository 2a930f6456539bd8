export { findToolFile, PROJECT_FILE, type ProjectTool, readProject } from './read-project.ts';
export { type ToolCommand, type ToolInstallation, toolCommandOf } from './tool-command.ts';
