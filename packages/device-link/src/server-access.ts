/** What a call needs to reach the server and to know it: the pinned authorities, and our identity where there is one. */
export interface ServerAccess {
  host: string;
  port: number;
  /** The only authorities that are trusted, PEM. */
  caPem: string;
  /** Our private key and certificate, PEM. */
  key?: string;
  cert?: string;
  /** Told the server's time, as it is in each of its HTTP answers; Unix milliseconds. */
  onServerTime?: (atMs: number) => void;
}
