/** The part of a writable stream that the commands use. */
export interface OutputStream {
  write(data: string | Uint8Array): boolean;
  once(event: 'drain', listener: () => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The terminal in front of which a command runs, or what stands in its place. */
export interface Terminal {
  /** A person types into it. */
  readonly isInteractive: boolean;
  size(): { columns: number; rows: number } | undefined;
  onResize(listener: (size: { columns: number; rows: number }) => void): () => void;
  /** Every key goes to the command, Ctrl-C too. Without a person nothing happens. It is undone when the process ends. */
  setRaw(raw: boolean): void;
  /** Nothing more is read: the process may end. */
  closeInput(): void;
}

/** Everything of the process that a command may touch, passed down from main. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  /** For commands that are conversations. */
  readonly terminal?: Terminal;
  /** Results: what a script would read. */
  readonly stdout: OutputStream;
  /** Progress, warnings, hints and errors. */
  readonly stderr: OutputStream;
  /** Aborts with the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}
