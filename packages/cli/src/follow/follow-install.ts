import type { InstallPhase, InstallProgress } from '@selvedge/toolchain';
import { formatBytes } from '../output/format.ts';
import type { Session } from '../session.ts';

const VERBS: Readonly<Record<InstallPhase, string>> = {
  index: 'reading the index',
  download: 'downloading',
  unpack: 'unpacking',
  build: 'building',
  finish: 'finishing',
};
const BAR_WIDTH = 24;

function bar(share: number): string {
  const filled = Math.round(Math.min(1, share) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}

function amount({ phase, done, total }: InstallProgress): string {
  if (phase === 'index') return done > 0 ? formatBytes(done) : '';
  return phase === 'download' ? `${formatBytes(done)} of ${formatBytes(total)}` : `${done} of ${total}`;
}

/** Shows how an installation goes: a bar on a terminal, elsewhere a line per phase and quarter. */
export function followInstall(session: Session): { onProgress: (progress: InstallProgress) => void; end: () => void } {
  const line = session.progress();
  return {
    onProgress: (progress) => {
      const { target, phase, done, total, what } = progress;
      const share = total > 0 ? done / total : 0;
      const drawn = total > 1 && session.io.stderr.isTTY === true ? ` ${bar(share)}` : '';
      line.update(
        `${target}: ${VERBS[phase]}${drawn} ${amount(progress)} ${what}`.replace(/ +/g, ' ').trimEnd(),
        `${phase} ${Math.floor(share * 4)}`,
      );
    },
    end: () => line.clear(),
  };
}
