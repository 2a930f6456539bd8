import * as z from 'zod';
import { nameSchema } from './common.ts';

/** Files that a tool's folder may have, in the order in which they are looked for. */
export const TOOL_FILES = ['tool.py'] as const;

const projectToolSchema = z
  .strictObject({
    /** Below the gateway and in `steps`; default the name of the folder. */
    name: nameSchema.max(63).optional(),
    /** Folder with tool.py: run as a child process of the server. */
    path: z.string().min(1).optional(),
    /** Dockerfile, or the folder that holds one: built, and run as a container. */
    dockerfile: z.string().min(1).optional(),
    /** A container image that is there already. */
    image: z.string().min(1).optional(),
  })
  .superRefine((tool, ctx) => {
    const given = [tool.path, tool.dockerfile, tool.image].filter((value) => value !== undefined).length;
    if (given !== 1) ctx.addIssue({ code: 'custom', message: 'give one of path, dockerfile and image' });
    if (tool.image !== undefined && tool.name === undefined)
      ctx.addIssue({ code: 'custom', path: ['name'], message: 'is needed with an image' });
  });
export type ProjectToolEntry = z.output<typeof projectToolSchema>;

/** `selvedge.yaml`: what a project adds to a server. */
export const projectFileSchema = z.strictObject({ tools: z.array(projectToolSchema).max(100).default([]) });
export type ProjectFile = z.output<typeof projectFileSchema>;
