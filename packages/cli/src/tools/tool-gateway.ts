import { AppError, type ArtifactSummary, artifactSummarySchema, fromProblem, problemSchema } from '@selvedge/contract';
import * as z from 'zod';
import { chunksOf } from '../connect.ts';
import type { Session } from '../session.ts';

const listSchema = z.object({ items: z.array(artifactSummarySchema) });

/** An artifact as it is named on the command line: `train/digits-1.train`. */
export interface ArtifactReference {
  readonly tool: string;
  readonly name: string;
}

/** @throws AppError USAGE for anything but `TOOL/NAME`. */
export function parseArtifactReference(text: string): ArtifactReference {
  const [, tool, name] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (tool !== undefined && name !== undefined) return { tool, name };
  throw new AppError('USAGE', {
    message: `"${text}" does not name an artifact.`,
    hint: 'Name it as TOOL/NAME, like train/digits-1.train; "selvedge artifact list train" lists those of a tool.',
  });
}

/** The artifact API of the tools behind the server's gateway, and of its pipelines. Errors are the tool's, by their codes. */
export class ToolGateway {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async ofTool(tool: string): Promise<ArtifactSummary[]> {
    return this.#list(`/containers/${encodeURIComponent(tool)}/artifacts`);
  }

  async ofPipeline(pipeline: string): Promise<ArtifactSummary[]> {
    return this.#list(`/pipelines/${encodeURIComponent(pipeline)}/artifacts`);
  }

  async remove(artifact: ArtifactReference): Promise<void> {
    await this.#ask(`${pathOf(artifact)}/`, 'DELETE');
  }

  async cancel(artifact: ArtifactReference): Promise<void> {
    await this.#ask(`${pathOf(artifact)}/cancel`, 'POST');
  }

  /** The bytes of what is below an artifact, as they come: `log?follow=1`, `data/model.onnx`. */
  async read(artifact: ArtifactReference, path: string): Promise<{ chunks: AsyncIterable<Uint8Array>; contentType: string | null }> {
    const response = await this.#ask(`${pathOf(artifact)}/${path}`, 'GET');
    return { chunks: chunksOf(response, this.#session.settings.serverUrl), contentType: response.headers.get('content-type') };
  }

  async #list(path: string): Promise<ArtifactSummary[]> {
    return listSchema.parse(await (await this.#ask(path, 'GET')).json()).items;
  }

  async #ask(path: string, method: string): Promise<Response> {
    const { settings, io } = this.#session;
    const headers: Record<string, string> = settings.token === undefined ? {} : { authorization: `Bearer ${settings.token}` };
    let response: Response;
    try {
      response = await fetch(`${settings.serverUrl}${path}`, { method, headers, signal: io.signal });
    } catch (cause) {
      io.signal.throwIfAborted();
      const hint = 'Is the server up? "selvedge up" starts one.';
      throw new AppError('SERVER_UNREACHABLE', { message: `No answer from ${settings.serverUrl}.`, hint }, { cause });
    }
    if (response.ok) return response;
    const problem = problemSchema.safeParse(await response.json().catch(() => undefined));
    if (problem.success) throw fromProblem(problem.data);
    throw new AppError('TOOL_UNAVAILABLE', { message: `The tool answered with HTTP ${response.status}.` });
  }
}

function pathOf({ tool, name }: ArtifactReference): string {
  return `/containers/${encodeURIComponent(tool)}/artifacts/${encodeURIComponent(name)}`;
}
