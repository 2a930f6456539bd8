import { type ReactNode, useEffect, useState } from 'react';
import { Button } from './button.tsx';

export interface CopyButtonProps {
  text: string;
  label?: string;
  /** What is copied, for those who do not see beside what the button stands. */
  of?: string;
}

/** Copies `text`; says so on the button and to screen readers. */
export function CopyButton({ text, label = 'Copy', of }: CopyButtonProps): ReactNode {
  const [outcome, setOutcome] = useState<'copied' | 'failed'>();
  useEffect(() => {
    if (outcome === undefined) return;
    const timer = window.setTimeout(() => setOutcome(undefined), 2000);
    return () => window.clearTimeout(timer);
  }, [outcome]);
  const copy = () => {
    copyText(text).then(
      () => setOutcome('copied'),
      () => setOutcome('failed'),
    );
  };
  return (
    <Button size="sm" variant="quiet" icon={outcome === 'copied' ? 'check' : 'copy'} onClick={copy} className="min-w-19 shrink-0">
      <span aria-live="polite">{outcome === 'copied' ? 'Copied' : outcome === 'failed' ? 'Select it' : label}</span>
      {of !== undefined && <span className="sr-only">{of}</span>}
    </Button>
  );
}

/** The clipboard API exists on secure origins and loopback only; elsewhere the old way through a text field. */
async function copyText(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  field.style.position = 'fixed';
  field.style.opacity = '0';
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  if (!copied) throw new Error('the browser did not copy');
}
