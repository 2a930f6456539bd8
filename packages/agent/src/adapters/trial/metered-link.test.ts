import { describe, expect, it } from 'vitest';
import { readsAsMetered } from './metered-link.ts';

describe('readsAsMetered', () => {
  it('looks at links that are up', () => {
    const up = 'GENERAL.STATE:100 (connected)';
    expect(readsAsMetered(`${up}\nGENERAL.METERED:yes (guessed)\n\nGENERAL.STATE:10 (unmanaged)\nGENERAL.METERED:unknown\n`)).toBe(true);
    expect(readsAsMetered(`${up}\nGENERAL.METERED:no (guessed)\n\nGENERAL.STATE:30 (disconnected)\nGENERAL.METERED:yes\n`)).toBe(false);
    expect(readsAsMetered('')).toBe(false);
  });
});
