import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { plural } from '../lib/format.ts';
import { Button } from './button.tsx';
import { classNames } from './class-names.ts';
import { SearchInput } from './field.tsx';
import { ScrollRegion } from './scroll-region.tsx';

export interface LogViewProps {
  label: string;
  lines: readonly string[];
  phase: 'reading' | 'ended' | 'broken';
  /** Lines that were dropped from the front. */
  dropped: number;
  /** Where the whole log can be had. */
  downloadUrl: string;
}

/** A log that follows its end until it is paused or scrolled back; the search keeps the lines that hold the text. */
export function LogView({ label, lines, phase, dropped, downloadUrl }: LogViewProps): ReactNode {
  const [search, setSearch] = useState('');
  const [paused, setPaused] = useState<readonly string[]>();
  const [following, setFollowing] = useState(true);
  const box = useRef<HTMLElement>(null);
  const source = paused ?? lines;
  const shown = useMemo(() => {
    const wanted = search.toLowerCase();
    const numbered = source.map((text, index) => ({ text, number: dropped + index + 1 }));
    return wanted === '' ? numbered : numbered.filter((line) => line.text.toLowerCase().includes(wanted));
  }, [source, search, dropped]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the end moves whenever other lines are shown
  useEffect(() => {
    if (following && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [shown, following]);

  const onScroll = () => {
    const element = box.current;
    if (element !== null) setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < 24);
  };
  return (
    <div className="min-w-0">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-2">
        <SearchInput label="Search the log" value={search} onChange={(event) => setSearch(event.target.value)} />
        <span aria-live="polite" className="text-xs text-ink-3 tabular-nums">
          {search === '' ? plural(source.length + dropped, 'line') : plural(shown.length, 'match', 'matches')}
        </span>
        <span className="ml-auto flex items-center gap-1.5">
          {phase === 'reading' && (
            <Button
              size="sm"
              variant="quiet"
              icon={paused === undefined ? 'pause' : 'play'}
              onClick={() => setPaused(paused === undefined ? lines : undefined)}
            >
              {paused === undefined ? 'Pause' : 'Resume'}
            </Button>
          )}
          <Button
            size="sm"
            variant={following ? 'secondary' : 'quiet'}
            icon="down"
            aria-pressed={following}
            onClick={() => setFollowing(!following)}
          >
            Follow
          </Button>
          <a href={downloadUrl} download className="rounded px-2 text-xs font-medium text-ink-2 underline-offset-2 hover:underline">
            Download
          </a>
        </span>
      </div>
      <ScrollRegion
        ref={box}
        onScroll={onScroll}
        label={label}
        className="h-72 overflow-auto bg-sunken py-2 font-mono text-xs leading-5 focus-visible:-outline-offset-2"
      >
        {shown.length === 0 && <p className="px-4 text-ink-3">{emptyText(phase, search)}</p>}
        {shown.map((line) => (
          <LogLine key={line.number} number={line.number} text={line.text} search={search} />
        ))}
      </ScrollRegion>
    </div>
  );
}

/** Remembered: a log grows by a few lines at a time, and the others stay as they are. */
const LogLine = memo(
  ({ number, text, search }: { number: number; text: string; search: string }): ReactNode => (
    <div className="flex min-w-max gap-4 px-3">
      <span aria-hidden="true" className="w-9 shrink-0 text-right text-ink-3 select-none tabular-nums">
        {number}
      </span>
      <span className={classNames('whitespace-pre', toneOf(text))}>{mark(text, search)}</span>
    </div>
  ),
);

function emptyText(phase: LogViewProps['phase'], search: string): string {
  if (search !== '') return 'No line holds this text.';
  return phase === 'reading' ? 'Waiting for the first line …' : 'The log is empty.';
}

/** Levels stand in the text already; the colour only helps the eye find them. */
function toneOf(text: string): string {
  if (/\b(error|fatal|failed)\b/i.test(text)) return 'text-bad';
  return /\bwarn(ing)?\b/i.test(text) ? 'text-warn' : 'text-ink';
}

function mark(text: string, search: string): ReactNode {
  if (search === '') return text;
  const at = text.toLowerCase().indexOf(search.toLowerCase());
  if (at < 0) return text;
  return (
    <>
      {text.slice(0, at)}
      <mark className="rounded-sm bg-warn-soft text-ink ring-1 ring-warn">{text.slice(at, at + search.length)}</mark>
      {text.slice(at + search.length)}
    </>
  );
}
