/**
 * The error table: every code that any part of the product may raise.
 *
 * Codes are never renamed or reused. `kind` says who can act: `user` (the caller can fix it), `operational` (wait,
 * retry, or mend the surroundings), `bug` (ours). `exitCode` is what the CLI exits with; see docs/reference/errors.md.
 */
export type ErrorKind = 'user' | 'operational' | 'bug';

export interface ErrorEntry {
  readonly kind: ErrorKind;
  readonly httpStatus: number;
  readonly exitCode: number;
  readonly retryable: boolean;
  readonly title: string;
}

const entry = (kind: ErrorKind, httpStatus: number, exitCode: number, retryable: boolean, title: string): ErrorEntry => ({
  kind,
  httpStatus,
  exitCode,
  retryable,
  title,
});

/** Exit codes: 0 success, 1 bug, 2 wrong usage or invalid input, 3 not found, 4 conflict, 5 not allowed, 6 failed work, 7 unreachable or temporary, 130 interrupted. */
export const EXIT = {
  ok: 0,
  bug: 1,
  invalid: 2,
  notFound: 3,
  conflict: 4,
  denied: 5,
  failed: 6,
  unavailable: 7,
  interrupted: 130,
} as const;

export const ERRORS = {
  // input
  INPUT_INVALID: entry('user', 400, EXIT.invalid, false, 'The input does not match its schema'),
  DOCUMENT_SYNTAX: entry('user', 400, EXIT.invalid, false, 'The document is not valid JSON or YAML'),
  USAGE: entry('user', 400, EXIT.invalid, false, 'The command line is not valid'),
  FILE_UNREADABLE: entry('user', 400, EXIT.invalid, false, 'A file could not be read'),
  PAYLOAD_TOO_LARGE: entry('user', 413, EXIT.invalid, false, 'The payload is larger than the limit'),
  UNSUPPORTED_MEDIA: entry('user', 415, EXIT.invalid, false, 'The media type is not supported'),
  // resources
  NOT_FOUND: entry('user', 404, EXIT.notFound, false, 'No such resource'),
  CONFLICT: entry('user', 409, EXIT.conflict, false, 'The resource is in a state that forbids this'),
  REFERENCE_MISSING: entry('user', 422, EXIT.notFound, false, 'A resource that this one names does not exist'),
  // identity
  UNAUTHENTICATED: entry('user', 401, EXIT.denied, false, 'No valid credential was presented'),
  FORBIDDEN: entry('user', 403, EXIT.denied, false, 'The credential does not allow this'),
  JOIN_TOKEN_INVALID: entry('user', 401, EXIT.denied, false, 'The join token is unknown, used up or expired'),
  JOIN_PENDING: entry('operational', 409, EXIT.unavailable, true, 'The join waits for the approval of an operator'),
  JOIN_REJECTED: entry('user', 403, EXIT.denied, false, 'An operator has rejected the join'),
  SERVER_IDENTITY_MISMATCH: entry('user', 401, EXIT.denied, false, 'The server is not the one that issued the join token'),
  DEVICE_REVOKED: entry('user', 403, EXIT.denied, false, 'The device has been removed'),
  DEVICE_IDENTITY_CONFLICT: entry('operational', 409, EXIT.conflict, false, 'Two agents use the identity of one device'),
  RATE_LIMITED: entry('operational', 429, EXIT.unavailable, true, 'Too many requests'),
  // data
  DATASET_FORMAT: entry('user', 422, EXIT.invalid, false, 'The data is not in a form that the import tool knows'),
  ARCHIVE_UNSAFE: entry('user', 422, EXIT.invalid, false, 'The archive holds a path or a size that is not allowed'),
  IMAGE_UNREADABLE: entry('user', 422, EXIT.invalid, false, 'The image could not be decoded'),
  DIGEST_MISMATCH: entry('operational', 422, EXIT.failed, true, 'The content does not have the expected sha256'),
  DISK_FULL: entry('operational', 507, EXIT.failed, true, 'There is no space left on the disk'),
  // models and graphs
  MODEL_INVALID: entry('user', 422, EXIT.invalid, false, 'The file is not a valid ONNX model'),
  OP_UNSUPPORTED: entry('user', 422, EXIT.invalid, false, 'The model has an operator that is not supported here'),
  SHAPE_MISMATCH: entry('user', 422, EXIT.invalid, false, 'Tensor shapes do not fit each other'),
  TRAINING_DIVERGED: entry('operational', 500, EXIT.failed, false, 'The loss is no longer a finite number'),
  PREPROC_INVALID: entry('user', 422, EXIT.invalid, false, 'The pre- or post-processing chain cannot be executed'),
  // packages
  TARGET_UNKNOWN: entry('user', 422, EXIT.invalid, false, 'There is no such target'),
  TARGET_NOT_INSTALLED: entry('user', 422, EXIT.failed, false, 'The toolchain for the target is not installed'),
  BUILD_FAILED: entry('operational', 500, EXIT.failed, false, 'The package could not be built'),
  SIGNATURE_INVALID: entry('user', 422, EXIT.denied, false, 'The signature is missing or does not belong to the content'),
  BUNDLE_EXPIRED: entry('user', 422, EXIT.denied, false, 'The bundle is too old to be applied'),
  BUNDLE_REVOKED: entry('user', 409, EXIT.denied, false, 'The bundle has been revoked'),
  BUNDLE_OTHER_DEVICE: entry('user', 422, EXIT.denied, false, 'The bundle is for other devices'),
  GATE_NOT_PASSED: entry('user', 422, EXIT.failed, false, 'The version does not keep the constraints of its task'),
  // running work
  ROLLOUT_FAILED: entry('operational', 500, EXIT.failed, false, 'The rollout failed'),
  RUN_FAILED: entry('operational', 500, EXIT.failed, false, 'The run failed'),
  STEP_FAILED: entry('operational', 500, EXIT.failed, false, 'A step of the run failed'),
  CANCELLED: entry('user', 409, EXIT.failed, false, 'The work was cancelled'),
  TOOL_UNAVAILABLE: entry('operational', 503, EXIT.unavailable, true, 'The tool is not running'),
  RESOURCES_UNAVAILABLE: entry('user', 422, EXIT.invalid, false, 'The requested resources cannot be had on this machine'),
  OUT_OF_MEMORY: entry('operational', 500, EXIT.failed, false, 'The work needed more memory than it may use'),
  // devices
  DEVICE_OFFLINE: entry('operational', 503, EXIT.unavailable, true, 'The device is not connected'),
  DEVICE_TIMEOUT: entry('operational', 504, EXIT.unavailable, true, 'The device did not answer in time'),
  OPERATION_FAILED: entry('operational', 500, EXIT.failed, false, 'What was asked of devices failed on some of them'),
  WORKLOAD_NOT_SERVING: entry('operational', 503, EXIT.unavailable, true, 'No device serves this model'),
  SELF_TEST_FAILED: entry('operational', 500, EXIT.failed, false, 'The model does not give its golden output'),
  INFERENCE_FAILED: entry('operational', 500, EXIT.failed, true, 'The engine could not compute the model'),
  WORKLOAD_FAILED: entry('operational', 500, EXIT.failed, true, 'The workload on the device failed'),
  TIMEOUT: entry('operational', 504, EXIT.unavailable, true, 'Something did not happen in time'),
  DOWNLOAD_FAILED: entry('operational', 502, EXIT.unavailable, true, 'A download did not complete'),
  // surroundings
  PORT_IN_USE: entry('user', 409, EXIT.conflict, false, 'The port is taken by another process'),
  DATA_FOLDER_LOCKED: entry('user', 409, EXIT.conflict, false, 'Another server uses this data folder'),
  SERVER_UNREACHABLE: entry('operational', 503, EXIT.unavailable, true, 'The server did not answer'),
  SETUP_INCOMPLETE: entry('user', 500, EXIT.failed, false, 'Something that must be installed or built is missing'),
  INTERRUPTED: entry('user', 499, EXIT.interrupted, true, 'Interrupted'),
  INTERNAL: entry('bug', 500, EXIT.bug, false, 'Selvedge has a bug here'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** One fault in an input: where it is and what would be right. `path` is like `spec.preproc.params.resize[0]`; line and column start at 1. */
export interface Issue {
  path: string;
  message: string;
  file?: string;
  line?: number;
  column?: number;
}

export interface ErrorDetails {
  /** What failed, with which input. One sentence, no secrets. */
  message: string;
  /** What to do next. */
  hint?: string;
  /** All faults found, when the error is about an input. */
  issues?: Issue[];
  /** Machine-readable facts, e.g. `{ port: 7070 }`. */
  data?: Record<string, unknown>;
}

/** The only error that crosses a boundary. Branch on `code`, never on the message. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails, options?: { cause?: unknown }) {
    super(details.message, options);
    this.name = 'AppError';
    this.code = code;
    this.details = details;
  }

  get kind(): ErrorKind {
    return ERRORS[this.code].kind;
  }
  get httpStatus(): number {
    return ERRORS[this.code].httpStatus;
  }
  get exitCode(): number {
    return ERRORS[this.code].exitCode;
  }
  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

/** Wraps anything thrown: an AppError stays itself, everything else becomes INTERNAL with the original as cause. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new AppError('INTERNAL', { message }, { cause: error });
}
