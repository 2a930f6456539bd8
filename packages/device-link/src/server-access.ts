/** What a call needs to reach the server and to know it: the pinned CA, and our identity where there is one. */
export interface ServerAccess {
  host: string;
  port: number;
  /** The only CA that is trusted, PEM. */
  caPem: string;
  /** Our private key and certificate, PEM. */
  key?: string;
  cert?: string;
}
