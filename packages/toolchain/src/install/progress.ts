export const INSTALL_PHASES = ['index', 'download', 'unpack', 'build', 'finish'] as const;
export type InstallPhase = (typeof INSTALL_PHASES)[number];

export interface InstallProgress {
  target: string;
  phase: InstallPhase;
  /** Bytes while `index` and `download`, else pieces of work. */
  done: number;
  total: number;
  /** What is worked on now, for people. */
  what: string;
}

export type OnInstallProgress = (progress: InstallProgress) => void;
