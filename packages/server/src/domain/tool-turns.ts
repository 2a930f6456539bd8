/** One request that a run wants to make of a tool. `group` is what turns are shared between: the pipeline. */
export interface TurnWish {
  readonly key: string;
  readonly run: string;
  readonly group: string;
  /** What the request makes; of two wishes for the same, the second waits for the first. */
  readonly makes: string | undefined;
}

interface ToolState {
  readonly holders: Map<string, TurnWish>;
  readonly waiting: Map<string, TurnWish>;
  /** When a group, and a run, last got a turn; in turns, not in time. */
  readonly servedGroups: Map<string, number>;
  readonly servedRuns: Map<string, number>;
}

/** Requests that a tool has at a time: one that it works on, and one so that it need not wait for us in between. */
const HOLDERS_PER_TOOL = 2;

/**
 * Who may use a tool next. Pipelines take turns, within a pipeline its runs, so that one that wants much does not keep
 * another one waiting for all of it.
 *
 * Invariant: at most two requests at a time at a tool, but for those that were there already (`hold`).
 */
export class ToolTurns {
  readonly #tools = new Map<string, ToolState>();
  #turn = 0;

  /** @returns whether the request may be made now; a wish that was refused stays until it is taken, released or dropped. */
  take(tool: string, wish: TurnWish): boolean {
    const state = this.#state(tool);
    if (state.holders.has(wish.key)) return true;
    state.waiting.set(wish.key, wish);
    if (state.holders.size >= HOLDERS_PER_TOOL || this.#next(state)?.key !== wish.key) return false;
    this.hold(tool, wish);
    return true;
  }

  /** The tool has this request, however it came there. */
  hold(tool: string, wish: TurnWish): void {
    const state = this.#state(tool);
    if (state.holders.has(wish.key)) return;
    state.waiting.delete(wish.key);
    state.holders.set(wish.key, wish);
    this.#turn += 1;
    state.servedGroups.set(wish.group, this.#turn);
    state.servedRuns.set(wish.run, this.#turn);
  }

  /** The request is done, or no longer wanted. */
  release(tool: string, key: string): void {
    const state = this.#state(tool);
    state.holders.delete(key);
    state.waiting.delete(key);
  }

  /** Ends everything of a run. */
  drop(run: string): void {
    for (const state of this.#tools.values()) {
      for (const wishes of [state.holders, state.waiting])
        for (const { key, run: of } of wishes.values()) if (of === run) wishes.delete(key);
      state.servedRuns.delete(run);
    }
  }

  /** Runs whose requests a tool has now. */
  holdersOf(tool: string): string[] {
    return [...this.#state(tool).holders.values()].map(({ run }) => run);
  }

  /** A run that makes what this wish is for: once it has, there is nothing to ask for. */
  makerOf(tool: string, wish: TurnWish): string | undefined {
    return maker(this.#state(tool), wish)?.run;
  }

  #next(state: ToolState): TurnWish | undefined {
    const held = (group: string) => [...state.holders.values()].filter((holder) => holder.group === group).length;
    const rank = (wish: TurnWish) => [held(wish.group), state.servedGroups.get(wish.group) ?? 0, state.servedRuns.get(wish.run) ?? 0];
    let best: TurnWish | undefined;
    for (const wish of state.waiting.values()) {
      if (maker(state, wish) === undefined && (best === undefined || isBefore(rank(wish), rank(best)))) best = wish;
    }
    return best;
  }

  #state(tool: string): ToolState {
    const known = this.#tools.get(tool);
    if (known !== undefined) return known;
    const made = { holders: new Map(), waiting: new Map(), servedGroups: new Map(), servedRuns: new Map() };
    this.#tools.set(tool, made);
    return made;
  }
}

function maker(state: ToolState, wish: TurnWish): TurnWish | undefined {
  if (wish.makes === undefined) return undefined;
  return [...state.holders.values()].find((holder) => holder.makes === wish.makes && holder.key !== wish.key);
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (const [at, value] of a.entries()) if (value !== b[at]) return value < (b[at] ?? 0);
  return false;
}
