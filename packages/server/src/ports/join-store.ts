/** What a join token allows; its secret is kept as a digest only. */
export interface JoinToken {
  secretSha256: string;
  createdAt: string;
  expiresAt: string;
  /** How many devices may join with it. */
  uses: number;
  labels: Record<string, string>;
  /** Joins with it wait for an operator. */
  needsApproval: boolean;
  /** sha256 of the authority that is in the token. */
  caSha256: string;
}

/** A request to join; one that is repeated has the same id. */
export interface Join {
  /** Of the device's key and the name that it wishes: devices that share a key are several. */
  id: string;
  /** sha256 of the device's public key (SPKI, DER). */
  keySha256: string;
  secretSha256: string;
  /** Name that is kept for it; null until it has one, and after it was rejected. */
  device: string | null;
  state: 'waiting' | 'approved' | 'rejected';
  labels: Record<string, string>;
  /** Host that asked. */
  address: string;
  requestedAt: string;
  /** It is forgotten then. */
  expiresAt: string;
}

/** Tokens and joins. Adapters run the suite in join-store.contract.ts. */
export interface JoinStore {
  saveToken(token: JoinToken): Promise<void>;
  /** Those that have not expired, oldest first, with what is left of their uses. */
  listTokens(nowIso: string): Promise<(JoinToken & { usesLeft: number })[]>;
  /** The token, and joins with it that wait, are void. @returns false when there was none. */
  deleteToken(secretSha256: string): Promise<boolean>;
  /**
   * The join of this id with this token: the one that is known, else a new one, for which one use is taken.
   *
   * @param request.maxWaiting - of all tokens; one more is refused.
   * @returns undefined when it is unknown and the token is unknown, used up or expired.
   * @throws AppError RATE_LIMITED (operational) when too many wait; no use is taken.
   */
  begin(
    request: Pick<Join, 'id' | 'keySha256' | 'secretSha256' | 'labels' | 'address' | 'requestedAt' | 'expiresAt'> & { maxWaiting: number },
  ): Promise<Join | undefined>;
  /** Keeps a device name for a join. @returns false when another join that has not expired has it. */
  claimName(id: string, device: string, nowIso: string): Promise<boolean>;
  /** Forgets a join that failed, and gives the use of its token back. */
  cancel(id: string): Promise<void>;
  /** Those that wait, and those that were approved, oldest first; names by `device`. */
  listUndone(nowIso: string): Promise<Join[]>;
  /** Decides a join that waits. @returns it as it is now; undefined when none of this name waits. */
  decide(device: string, state: 'approved' | 'rejected', nowIso: string): Promise<Join | undefined>;
  /** The device was removed: its key gives no right to its place. */
  forgetDevice(device: string): Promise<void>;
  /** Removes tokens and joins that have expired. */
  prune(nowIso: string): Promise<void>;
}
