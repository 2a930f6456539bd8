// The process of a job of the tools that tests make up.
import { serveJob } from '../kit/job/serve-job.ts';
import { JOB_TOOLS } from './job-tools.ts';

await serveJob(async (name) => {
  const tool = JOB_TOOLS[name];
  if (tool === undefined) throw new Error(name);
  return tool;
});
