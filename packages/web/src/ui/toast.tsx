import { toAppError } from '@selvedge/contract';
import { createContext, type ReactNode, useCallback, useContext, useMemo, useRef, useState } from 'react';
import type { Tone } from '../lib/status.ts';
import { IconButton } from './button.tsx';
import { StatusIcon } from './status-badge.tsx';

interface Toast {
  readonly id: number;
  readonly tone: Tone;
  readonly text: string;
}
export interface Toasts {
  say: (text: string, tone?: Tone) => void;
  /** Says an error with its hint. */
  fail: (error: unknown) => void;
}

const SHOWN_MS = 6000;
const ToastContext = createContext<Toasts>({ say: () => undefined, fail: () => undefined });

export function useToasts(): Toasts {
  return useContext(ToastContext);
}

/** Short messages about what was just done; errors stay until they are closed. */
export function ToastProvider({ children }: { children: ReactNode }): ReactNode {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const nextId = useRef(1);
  const close = useCallback((id: number) => setToasts((old) => old.filter((toast) => toast.id !== id)), []);
  const say = useCallback(
    (text: string, tone: Tone = 'ok') => {
      const id = nextId.current;
      nextId.current += 1;
      setToasts((old) => [...old.slice(-3), { id, tone, text }]);
      if (tone !== 'bad') window.setTimeout(() => close(id), SHOWN_MS);
    },
    [close],
  );
  const value = useMemo<Toasts>(() => {
    const fail = (error: unknown) => {
      const { message, hint } = toAppError(error).details;
      say(hint === undefined ? message : `${message} ${hint}`, 'bad');
    };
    return { say, fail };
  }, [say]);
  return (
    <ToastContext value={value}>
      {children}
      <div
        aria-live="polite"
        className="pointer-events-none fixed right-4 bottom-18 z-60 grid w-[min(24rem,calc(100vw-2rem))] gap-2 md:bottom-4"
      >
        {toasts.map((toast) => (
          <div
            key={toast.id}
            className="pointer-events-auto flex items-start gap-2 rounded-lg border border-line bg-surface py-1.5 pr-1.5 pl-3 text-sm shadow-lifted"
          >
            <span className="mt-1.5">
              <StatusIcon tone={toast.tone} />
            </span>
            <p className="min-w-0 flex-1 py-1 break-words">{toast.text}</p>
            <IconButton icon="cross" label="Dismiss" onClick={() => close(toast.id)} />
          </div>
        ))}
      </div>
    </ToastContext>
  );
}
