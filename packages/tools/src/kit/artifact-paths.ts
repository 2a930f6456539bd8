import { join } from 'node:path';

/**
 * The folder of one artifact; readable without the server:
 *
 * data/             what was made
 * status            JSON, artifactStatusSchema
 * log               text, one line per entry with its time
 * input-parameters  JSON, as given
 * inputs.json       where the inputs came from
 * input-files/      <input>/<file>: what was uploaded
 * metrics/          <metric with "." for "/">.jsonl
 * checkpoint/       only while it is made: what lets the work go on after a restart
 * work/             only while it is made: fetched inputs
 * job.lock          only while a process of its own makes it: which one
 */
export interface ArtifactPaths {
  readonly root: string;
  readonly data: string;
  readonly status: string;
  readonly log: string;
  readonly inputParameters: string;
  readonly inputs: string;
  readonly inputFiles: string;
  readonly metrics: string;
  readonly checkpoint: string;
  readonly work: string;
  readonly jobLock: string;
}

export function artifactPaths(root: string): ArtifactPaths {
  return {
    root,
    data: join(root, 'data'),
    status: join(root, 'status'),
    log: join(root, 'log'),
    inputParameters: join(root, 'input-parameters'),
    inputs: join(root, 'inputs.json'),
    inputFiles: join(root, 'input-files'),
    metrics: join(root, 'metrics'),
    checkpoint: join(root, 'checkpoint'),
    work: join(root, 'work'),
    jobLock: join(root, 'job.lock'),
  };
}
