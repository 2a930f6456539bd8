import { describe, expect, it } from 'vitest';
import { readMetering } from './metered-link.ts';

describe('readMetering', () => {
  it('looks at links that are up', () => {
    const up = 'GENERAL.STATE:100 (connected)';
    expect(readMetering(`${up}\nGENERAL.METERED:yes (guessed)\n\nGENERAL.STATE:10 (unmanaged)\nGENERAL.METERED:unknown\n`)).toBe('metered');
    expect(readMetering(`${up}\nGENERAL.METERED:no (guessed)\n\nGENERAL.STATE:30 (disconnected)\nGENERAL.METERED:yes\n`)).toBe('unmetered');
    expect(readMetering(`${up}\nGENERAL.METERED:unknown\n`)).toBe('unknown');
    expect(readMetering('')).toBe('unknown');
  });
});
