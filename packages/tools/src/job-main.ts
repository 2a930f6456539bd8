// The process of one job of a tool; started by the tool, which tells it over IPC what to make.
import { serveJob } from './kit/job/serve-job.ts';
import { loadTool } from './tool-list.ts';

await serveJob(loadTool);
