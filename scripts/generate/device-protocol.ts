import { readFile } from 'node:fs/promises';
import * as contract from '@selvedge/contract';
import type * as z from 'zod';
import { fieldTable } from './field-table.ts';

/** What `{{fields NAME}}` in the text stands for. */
const MESSAGES: Readonly<Record<string, z.ZodType>> = {
  'join-request': contract.joinRequestSchema,
  'join-answer': contract.joinResponseSchema,
  'renew-request': contract.renewRequestSchema,
  desired: contract.desiredStateSchema,
  reported: contract.reportedStateSchema,
  presence: contract.presenceSchema,
  telemetry: contract.telemetryBatchSchema,
  command: contract.commandSchema,
  reply: contract.replySchema,
  'delta-offer': contract.deltaOfferSchema,
  manifest: contract.packageManifestSchema,
  'golden-set': contract.goldenSetSchema,
  bundle: contract.bundleStatementSchema,
  results: contract.resultsStatementSchema,
  'offline-join-request': contract.offlineJoinRequestSchema,
  'offline-join-answer': contract.offlineJoinAnswerSchema,
};

/** The page on the device channel: the text beside this file with its tables filled in from the schemas. */
export async function deviceProtocolMarkdown(banner: string): Promise<string> {
  const text = await readFile(new URL('./device-protocol.md', import.meta.url), 'utf8');
  const used = new Set<string>();
  const filled = text.replace(/\{\{fields ([\w-]+)\}\}/g, (_match, name: string) => {
    const schema = MESSAGES[name];
    if (schema === undefined) throw new Error(`There is no message "${name}".`);
    used.add(name);
    return fieldTable(schema);
  });
  const missing = Object.keys(MESSAGES).filter((name) => !used.has(name));
  if (missing.length > 0) throw new Error(`The device protocol does not describe: ${missing.join(', ')}.`);
  const constants: Readonly<Record<string, string>> = {
    MAX_DEVICE_MESSAGE_BYTES: String(contract.MAX_DEVICE_MESSAGE_BYTES),
    MAX_INFER_BODY_BYTES: String(contract.MAX_INFER_BODY_BYTES),
    MAX_GOLDEN_SET_BYTES: String(contract.MAX_GOLDEN_SET_BYTES),
    MAX_DELTA_BASES: String(contract.MAX_DELTA_BASES),
    BUNDLE_STATEMENT_ENTRY: contract.BUNDLE_STATEMENT_ENTRY,
    BUNDLE_PAYLOAD_TYPE: contract.BUNDLE_PAYLOAD_TYPE,
    MAX_BUNDLE_STATEMENT_BYTES: String(contract.MAX_BUNDLE_STATEMENT_BYTES),
    RESULTS_PAYLOAD_TYPE: contract.RESULTS_PAYLOAD_TYPE,
    SERVER_TLS_NAME: contract.SERVER_TLS_NAME,
    DEVICE_TOPIC_ROOT: contract.DEVICE_TOPIC_ROOT,
  };
  return `<!-- ${banner} -->\n${filled.replace(/\{\{([A-Z_]+)\}\}/g, (_match, name: string) => constants[name] ?? `{{${name}}}`)}`;
}
