import type { JobResources } from '@selvedge/contract';
import { ControlGroup, ProcessGroupMeter, type ProcessGroupUsage } from '@selvedge/runtime';
import type { JobPlan } from '../define-tool.ts';

const MIB = 1024 * 1024;

/** What holds the processes of one job together: puts them into it, counts what they use, and leaves none behind. */
export interface JobHold {
  readonly enforcedBy: NonNullable<JobResources['enforcedBy']>;
  /** The command as one that runs inside. */
  enter(command: readonly string[]): string[];
  /** @param pid - of the job's process, which is the leader of its process group. */
  usage(pid: number): ProcessGroupUsage;
  /** Whether the kernel has ended it for its memory. */
  readonly isOutOfMemory: boolean;
  /** Ends what is left of it. */
  remove(): Promise<void>;
}

/** @param parent - control group that jobs get theirs below; undefined: the tool itself looks at their memory. */
export function holdJob(parent: string | undefined, { asked, granted }: JobPlan): JobHold {
  if (parent === undefined) return pollingHold();
  const memoryBytes = granted.memoryMiB === null ? null : granted.memoryMiB * MIB;
  const group = ControlGroup.create(parent, { memoryBytes, cpus: asked.cpus ?? null });
  return {
    enforcedBy: 'cgroup',
    enter: (command) => group.enter(command),
    usage: () => group.usage(),
    get isOutOfMemory() {
      return group.isOutOfMemory;
    },
    remove: () => group.remove(),
  };
}

function pollingHold(): JobHold {
  let meter: ProcessGroupMeter | undefined;
  return {
    enforcedBy: 'polling',
    enter: (command) => [...command],
    usage: (pid) => {
      meter ??= new ProcessGroupMeter(pid);
      return meter.sample();
    },
    isOutOfMemory: false,
    remove: async () => undefined,
  };
}
