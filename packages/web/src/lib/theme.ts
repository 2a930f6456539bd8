import { useSyncExternalStore } from 'react';

export type ThemeChoice = 'system' | 'light' | 'dark';
const KEY = 'selvedge.theme';
const CHANGED = 'selvedge:theme';

/** The remembered choice; `system` when there is none or storage is blocked. */
export function readTheme(): ThemeChoice {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'light' || stored === 'dark' ? stored : 'system';
  } catch {
    return 'system'; // storage may be forbidden (private windows): the choice then lasts as long as the page
  }
}

/** Puts the choice on the document; without one the style sheet follows the system by itself. */
export function showTheme(choice: ThemeChoice): void {
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  window.dispatchEvent(new Event(CHANGED));
}

export function rememberTheme(choice: ThemeChoice): void {
  try {
    if (choice === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // as in readTheme: nothing to remember it with
  }
  showTheme(choice);
}

function systemIsDark(): boolean {
  return window.matchMedia('(prefers-color-scheme: dark)').matches;
}

function subscribe(changed: () => void): () => void {
  const media = window.matchMedia('(prefers-color-scheme: dark)');
  media.addEventListener('change', changed);
  window.addEventListener(CHANGED, changed);
  return () => {
    media.removeEventListener('change', changed);
    window.removeEventListener(CHANGED, changed);
  };
}

/** The theme that is shown now; charts redraw with it because a canvas does not follow CSS. */
export function useShownTheme(): 'light' | 'dark' {
  return useSyncExternalStore(subscribe, () => {
    const chosen = document.documentElement.dataset.theme;
    if (chosen === 'light' || chosen === 'dark') return chosen;
    return systemIsDark() ? 'dark' : 'light';
  });
}
