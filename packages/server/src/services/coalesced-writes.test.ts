import { describe, expect, it } from 'vitest';
import { CoalescedWrites } from './coalesced-writes.ts';

/** A stored text; each write waits until it is let go on, as a transaction waits for its turn. */
class Stored {
  text = '';
  writes = 0;
  readonly #turns: (() => void)[] = [];
  readonly changes = new CoalescedWrites<string>(async (change) => {
    await new Promise<void>((resolve) => this.#turns.push(resolve));
    this.writes += 1;
    const changed = change(this.text);
    if (changed.includes('bad')) throw new Error(`will not store ${changed}`);
    this.text = changed;
  });

  append(text: string): Promise<string> {
    return this.changes
      .add((before) => before + text)
      .then(
        () => 'stored',
        (error: Error) => error.message,
      );
  }

  /** Lets writes go on, one after the other, until none waits. */
  async goOn(): Promise<void> {
    for (let idle = 0; idle < 20; idle += 1) {
      const turn = this.#turns.shift();
      if (turn === undefined) await Promise.resolve();
      else {
        idle = 0;
        turn();
      }
    }
  }
}

describe('coalesced writes', () => {
  it('go together into a write that has not begun, in their order', async () => {
    const stored = new Stored();
    const all = [stored.append('a'), stored.append('b'), stored.append('c')];
    await stored.goOn();
    expect(await Promise.all(all)).toEqual(['stored', 'stored', 'stored']);
    expect(stored).toMatchObject({ text: 'abc', writes: 1 });
    const later = stored.append('d');
    await stored.goOn();
    expect(await later).toBe('stored');
    expect(stored).toMatchObject({ text: 'abcd', writes: 2 });
  });

  it('fail each by itself', async () => {
    const stored = new Stored();
    const all = [stored.append('a'), stored.append('bad'), stored.append('c')];
    await stored.goOn();
    expect(await Promise.all(all)).toEqual(['stored', 'will not store abad', 'stored']);
    expect(stored).toMatchObject({ text: 'ac', writes: 4 });
    const together = [stored.append('d'), stored.append('e')];
    await stored.goOn();
    await Promise.all(together);
    expect(stored).toMatchObject({ text: 'acde', writes: 5 });
  });

  it('wait for company as long as they may', async () => {
    const stored = new Stored();
    const alone = stored.changes.add((before) => `${before}a`, 30);
    const early = stored.changes.add((before) => `${before}b`, 60_000);
    await stored.goOn();
    expect(stored.writes).toBe(0);
    const together = stored.append('c');
    await stored.goOn();
    await Promise.all([alone, early, together]);
    expect(stored).toMatchObject({ text: 'abc', writes: 1 });

    const waiting = stored.changes.add((before) => `${before}d`, 30);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await stored.goOn();
    await waiting;
    expect(stored).toMatchObject({ text: 'abcd', writes: 2 });
  });

  it('are done when there is nothing to change any more', async () => {
    const gone = new CoalescedWrites<string>(async () => undefined);
    await expect(gone.add((text) => `${text}a`)).resolves.toBeUndefined();
  });
});
