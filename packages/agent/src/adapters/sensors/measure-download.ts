import type { LinkMeter } from '@selvedge/device-link';
import type { DownloadResponse } from '@selvedge/runtime';

/** Tells the meter what a download brought in what time; its body stays for its reader. */
export function measureDownload(response: DownloadResponse, link: LinkMeter): DownloadResponse {
  const beganMs = performance.now();
  let bytes = 0;
  response.body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  response.body.once('close', () => link.downloaded(bytes, performance.now() - beganMs));
  response.body.pause(); // listening made it flow
  return response;
}
