import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { Button } from './button.tsx';
import { CodeBlock } from './code-block.tsx';

/** What this place does, as commands: a quiet button that opens them. Escape and a press elsewhere close it. */
export function CliHint({ commands }: { commands: readonly string[] }): ReactNode {
  const [open, setOpen] = useState(false);
  const holder = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return;
    const onPointer = (event: PointerEvent) => {
      if (event.target instanceof Node && holder.current?.contains(event.target) !== true) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      setOpen(false);
      holder.current?.querySelector('button')?.focus();
    };
    document.addEventListener('pointerdown', onPointer);
    document.addEventListener('keydown', onKey);
    return () => {
      document.removeEventListener('pointerdown', onPointer);
      document.removeEventListener('keydown', onKey);
    };
  }, [open]);
  return (
    <div ref={holder} className="relative">
      <Button variant="quiet" icon="terminal" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        CLI
      </Button>
      <div
        id={id}
        hidden={!open}
        className="absolute right-0 z-30 mt-1 w-[min(30rem,calc(100vw-2rem))] rounded-lg border border-line bg-surface p-3 shadow-lifted max-sm:fixed max-sm:inset-x-4 max-sm:w-auto"
      >
        <p className="mb-2 text-xs text-ink-2">The same from a terminal:</p>
        <div className="grid gap-2">
          {commands.map((command) => (
            <CodeBlock key={command} code={command} label={`Command: ${command}`} />
          ))}
        </div>
      </div>
    </div>
  );
}
