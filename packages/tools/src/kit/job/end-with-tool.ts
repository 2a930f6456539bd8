import { Worker } from 'node:worker_threads';

/**
 * Ends this process and all others of its group when the other end of its standard input is closed, as it is when the tool's
 * process is gone, however that ended. A thread of its own looks, so that it is noticed while the work computes and does not
 * return to its events for minutes. Must be called by the leader of a process group.
 */
export function endWithTool(): void {
  new Worker(WATCH, { eval: true, workerData: process.pid }).unref();
}

const WATCH = `
const { Socket } = require('node:net');
const { workerData: leader } = require('node:worker_threads');
const end = () => process.kill(-leader, 'SIGKILL');
new Socket({ fd: 0, readable: true, writable: false }).on('close', end).on('error', end).resume();
`;
