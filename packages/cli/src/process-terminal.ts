import type { Terminal } from './io.ts';

/** The terminal of this process, of its stdin and stdout. */
export function processTerminal(): Terminal {
  const { stdin, stdout } = process;
  const isInteractive = stdin.isTTY === true && stdout.isTTY === true;
  const size = () => (stdout.isTTY === true ? { columns: stdout.columns, rows: stdout.rows } : undefined);
  return {
    isInteractive,
    size,
    onResize: (listener) => {
      const onResize = () => {
        const now = size();
        if (now !== undefined) listener(now);
      };
      stdout.on('resize', onResize);
      return () => void stdout.off('resize', onResize);
    },
    setRaw: (raw) => {
      if (!isInteractive) return;
      // However the process ends, short of SIGKILL: nobody wants to type "reset" blindly.
      if (raw) process.once('exit', () => stdin.setRawMode(false));
      stdin.setRawMode(raw);
    },
    closeInput: () => void stdin.destroy(),
  };
}
