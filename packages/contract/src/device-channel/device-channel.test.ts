import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type * as z from 'zod';
import command from './fixtures/v1/command.json' with { type: 'json' };
import commandRefresh from './fixtures/v1/command-refresh-identity.json' with { type: 'json' };
import desired from './fixtures/v1/desired.json' with { type: 'json' };
import desiredBudgets from './fixtures/v1/desired-budgets.json' with { type: 'json' };
import presence from './fixtures/v1/presence.json' with { type: 'json' };
import reply from './fixtures/v1/reply.json' with { type: 'json' };
import replyError from './fixtures/v1/reply-error.json' with { type: 'json' };
import replyRefreshed from './fixtures/v1/reply-refreshed.json' with { type: 'json' };
import reported from './fixtures/v1/reported.json' with { type: 'json' };
import reportedLink from './fixtures/v1/reported-link.json' with { type: 'json' };
import reportedStanding from './fixtures/v1/reported-standing.json' with { type: 'json' };
import reportedTransfer from './fixtures/v1/reported-transfer.json' with { type: 'json' };
import telemetry from './fixtures/v1/telemetry.json' with { type: 'json' };
import telemetryKept from './fixtures/v1/telemetry-kept.json' with { type: 'json' };
import telemetryLink from './fixtures/v1/telemetry-link.json' with { type: 'json' };
import { formatJoinToken, parseJoinToken } from './join-token.ts';
import * as messages from './messages.ts';
import { telemetryBatchSchema } from './telemetry.ts';
import { DEVICE_TOPICS, deviceTopic, parseDeviceTopic } from './topics.ts';

// Messages as the first version of the wire wrote them. They are never edited: a schema that no longer takes them breaks devices in the field.
const RECORDED: [string, z.ZodType, unknown][] = [
  ['desired', messages.desiredStateSchema, desired],
  ['desired with budgets', messages.desiredStateSchema, desiredBudgets],
  ['reported', messages.reportedStateSchema, reported],
  ['presence', messages.presenceSchema, presence],
  ['telemetry', telemetryBatchSchema, telemetry],
  ['telemetry that was kept', telemetryBatchSchema, telemetryKept],
  ['reported with the link', messages.reportedStateSchema, reportedLink],
  ['telemetry with the link', telemetryBatchSchema, telemetryLink],
  ['command', messages.commandSchema, command],
  ['reply', messages.replySchema, reply],
  ['refresh-identity command', messages.commandSchema, commandRefresh],
  ['refreshed reply', messages.replySchema, replyRefreshed],
  ['reported with clock, place and trust', messages.reportedStateSchema, reportedStanding],
  ['reported with what a version cost', messages.reportedStateSchema, reportedTransfer],
  ['reply with an error', messages.replySchema, replyError],
];

describe('device channel, version 1', () => {
  it.each(RECORDED)('reads the recorded %s message and writes it back unchanged', (_, schema, message) => {
    expect(schema.parse(message)).toEqual(message);
  });

  it.each(RECORDED)('refuses a %s message of another version', (_, schema, message) => {
    expect(schema.safeParse({ ...(message as object), v: 2 }).success).toBe(false);
  });
});

describe('budgets of a desired state', () => {
  it('may have ones that this agent does not know; those are passed over', () => {
    const later = {
      ...desiredBudgets,
      budgets: { ...desiredBudgets.budgets, defer: { telemetry: 'untilUnmetered', logs: true }, watts: 5 },
    };
    expect(messages.desiredStateSchema.parse(later)).toEqual(desiredBudgets);
  });
});

describe('topics', () => {
  it('name device and topic in both directions', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9][-a-z0-9.]{0,40}$/), fc.constantFrom(...DEVICE_TOPICS), (device, topic) => {
        expect(parseDeviceTopic(deviceTopic(device, topic))).toEqual({ device, topic });
      }),
    );
  });

  it.each([
    'selvedge/v1/devices',
    'selvedge/v1/devices//desired',
    'selvedge/v1/devices/a/desired/x',
    'selvedge/v1/devices/a/secrets',
    'selvedge/v2/devices/a/desired',
    '',
  ])('do not know %j', (topic) => {
    expect(parseDeviceTopic(topic)).toBeUndefined();
  });
});

describe('join tokens', () => {
  const token = { secret: 'A-secret_of-24-characters', caSha256: 'ab'.repeat(32), expiresAt: '2031-01-02T03:04:05.000Z' };

  it('carry secret, fingerprint and expiry in one shell word', () => {
    const text = formatJoinToken(token);
    expect(text).toMatch(/^[\w.-]+$/);
    expect(parseJoinToken(` ${text}\n`)).toEqual(token);
  });

  it('are refused when cut, extended or not tokens at all', () => {
    const text = formatJoinToken(token);
    for (const bad of [text.slice(0, -30), `${text}.x`, `x${text}`, 'hello', '', text.replace('ab', 'zz')]) {
      expect(() => parseJoinToken(bad)).toThrow(expect.objectContaining({ code: 'JOIN_TOKEN_INVALID' }));
    }
  });
});
