/** Where the parts are that tools are run with. */
export interface ToolInstallation {
  /** Folder of the Python package `selvedge`. */
  readonly pythonPath: string;
  /** Folder of the kit for TypeScript: the built one, or `packages/tools/src`. */
  readonly nodeKit: string;
}

export interface ToolCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** How long the tool may take to its first answer, in milliseconds; default the supervisor's. */
  readonly startLimitMs?: number;
  /** Run when the tool has been stopped, so that nothing of it is left. */
  readonly afterStop?: readonly string[];
}
