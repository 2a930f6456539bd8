import * as z from 'zod';
import { nameSchema } from './common.ts';

/** Files that a tool's folder may have, in the order in which they are looked for. */
export const TOOL_FILES = ['tool.py', 'tool.ts'] as const;

const projectToolSchema = z
  .strictObject({
    /** Below the gateway and in `steps`; default the name of the folder. */
    name: nameSchema.max(63).optional(),
    /** Folder with tool.py or tool.ts: run as a child process of the server. */
    path: z.string().min(1).optional(),
    /** Dockerfile, or the folder that holds one: built, and run as a container. */
    dockerfile: z.string().min(1).optional(),
    /** A container image that is there already. */
    image: z.string().min(1).optional(),
    /** Address of a tool that somebody else runs, like `http://train:8080`; the name may be that of a built-in one. */
    url: z.url({ protocol: /^https?$/ }).optional(),
  })
  .superRefine((tool, ctx) => {
    const given = [tool.path, tool.dockerfile, tool.image, tool.url].filter((value) => value !== undefined).length;
    if (given !== 1) ctx.addIssue({ code: 'custom', message: 'give one of path, dockerfile, image and url' });
    if ((tool.image ?? tool.url) !== undefined && tool.name === undefined)
      ctx.addIssue({ code: 'custom', path: ['name'], message: 'is needed with an image or url' });
  });
export type ProjectToolEntry = z.output<typeof projectToolSchema>;

/** `selvedge.yaml`: what a project adds to a server. */
export const projectFileSchema = z.strictObject({ tools: z.array(projectToolSchema).max(100).default([]) });
export type ProjectFile = z.output<typeof projectFileSchema>;
