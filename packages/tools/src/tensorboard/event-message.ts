import protobuf from 'protobufjs/light.js';

/** What a value of a summary may be: the parts of summary.proto that are written here. Names and numbers are TensorFlow's. */
const DESCRIPTOR = {
  nested: {
    Event: {
      oneofs: { what: { oneof: ['fileVersion', 'summary', 'sessionLog'] } },
      fields: {
        wallTime: { id: 1, type: 'double' },
        step: { id: 2, type: 'int64' },
        fileVersion: { id: 3, type: 'string' },
        summary: { id: 5, type: 'Summary' },
        sessionLog: { id: 7, type: 'SessionLog' },
      },
    },
    SessionLog: { fields: { status: { id: 1, type: 'int32' }, msg: { id: 3, type: 'string' } } },
    Summary: { fields: { value: { id: 1, rule: 'repeated', type: 'Value' } } },
    Value: {
      oneofs: { value: { oneof: ['simpleValue', 'image', 'histo'] } },
      fields: {
        tag: { id: 1, type: 'string' },
        simpleValue: { id: 2, type: 'float' },
        image: { id: 4, type: 'Image' },
        histo: { id: 5, type: 'Histogram' },
      },
    },
    Image: {
      fields: {
        height: { id: 1, type: 'int32' },
        width: { id: 2, type: 'int32' },
        colorspace: { id: 3, type: 'int32' },
        encodedImageString: { id: 4, type: 'bytes' },
      },
    },
    Histogram: {
      fields: {
        min: { id: 1, type: 'double' },
        max: { id: 2, type: 'double' },
        num: { id: 3, type: 'double' },
        sum: { id: 4, type: 'double' },
        sumSquares: { id: 5, type: 'double' },
        bucketLimit: { id: 6, rule: 'repeated', type: 'double', options: { packed: true } },
        bucket: { id: 7, rule: 'repeated', type: 'double', options: { packed: true } },
      },
    },
  },
};

/** Counts of values between limits; bucket i ends at `bucketLimit[i]` and begins where the one before it ends (the first at `min`). */
export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  readonly bucketLimit: readonly number[];
  readonly bucket: readonly number[];
}

interface EncodedImage {
  readonly height: number;
  readonly width: number;
  /** 1 grey, 3 RGB, 4 RGBA. */
  readonly colorspace: number;
  /** A PNG file. */
  readonly encodedImageString: Uint8Array;
}

export type SummaryValue = { readonly tag: string } & (
  | { readonly simpleValue: number }
  | { readonly image: EncodedImage }
  | { readonly histo: Histogram }
);

/** START tells a reader to forget everything from this step on: what follows replaces it. */
export const SESSION_STATUS = { start: 1, stop: 2 } as const;

interface EventTime {
  /** Seconds since 1970. */
  readonly wallTime: number;
  /** A whole number. */
  readonly step: number;
}

export type EventMessage = EventTime &
  (
    | { readonly fileVersion: string }
    | { readonly summary: { readonly value: readonly SummaryValue[] } }
    | { readonly sessionLog: { readonly status: number; readonly msg: string } }
  );

const EVENT_TYPE = protobuf.Root.fromJSON(DESCRIPTOR).lookupType('Event');

export function encodeEvent(event: EventMessage): Uint8Array {
  return EVENT_TYPE.encode(event).finish();
}

/** What is needed of an event to go on with a file: which tags and which session marks it holds. */
export interface ReadEvent {
  readonly tags: readonly string[];
  readonly sessionLog: { readonly status: number; readonly msg: string } | undefined;
}

export function decodeEvent(bytes: Uint8Array): ReadEvent {
  const event = EVENT_TYPE.toObject(EVENT_TYPE.decode(bytes), { defaults: false }) as {
    summary?: { value?: { tag?: string }[] };
    sessionLog?: { status?: number; msg?: string };
  };
  const { summary, sessionLog } = event;
  return {
    tags: (summary?.value ?? []).map(({ tag = '' }) => tag),
    sessionLog: sessionLog === undefined ? undefined : { status: sessionLog.status ?? 0, msg: sessionLog.msg ?? '' },
  };
}
