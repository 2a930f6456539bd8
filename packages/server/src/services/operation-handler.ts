import { AppError, type Operation, type OperationDevice, type OperationTask } from '@selvedge/contract';

type TaskOf<T extends OperationTask['type']> = Extract<OperationTask, { type: T }>;

/** One operation on one device. */
export interface DeviceWork<T extends OperationTask['type']> {
  readonly device: string;
  readonly operation: Operation;
  readonly task: TaskOf<T>;
  /**
   * It had begun here before: the server was restarted meanwhile, or the device's connection was lost. What that means is for the
   * handler to know: to go on, to ask the device how it stands, or to fail.
   */
  readonly resumed: boolean;
  /** To be told as often as one likes; it is stored once a second at most. */
  readonly progress: (progress: { doneBytes: number; totalBytes: number }) => void;
  /** Replaces what is stored of what a command wrote; it is cut to its bound. */
  readonly output: (text: string) => void;
  /** Aborts with CANCELLED when somebody cancels, with INTERRUPTED when the server stops; a device that had begun is then `resumed`. */
  readonly signal: AbortSignal;
}

/** What came of it; what is left out stays as it is. A device with an `error` has failed. */
export type DeviceOutcome = Partial<Pick<OperationDevice, 'exitCode' | 'file' | 'changed' | 'output' | 'error'>>;

/** What is done on a device for one type of task. */
export interface OperationHandler<T extends OperationTask['type']> {
  /** Whether a device that is not connected is waited for unless the request says otherwise. It is then waited for as well when its connection is lost midway. */
  readonly waitsForDevices: boolean;
  /** How long devices have to begin unless the request says otherwise, in seconds. */
  readonly expiresInS: number;
  /** Refuses what cannot be done. @throws AppError (user). */
  check?(task: TaskOf<T>): Promise<void>;
  /** @throws AppError why it failed; DEVICE_OFFLINE or DEVICE_TIMEOUT when the device may be asked again. */
  run(work: DeviceWork<T>): Promise<DeviceOutcome>;
}

/** A handler of whatever type, by which an operation is driven. */
export type AnyOperationHandler = OperationHandler<OperationTask['type']>;
/** By type of task; one without a handler is refused. */
export type OperationHandlers = ReadonlyMap<OperationTask['type'], AnyOperationHandler>;

/** An entry of the table of handlers. */
export function handlerEntry<T extends OperationTask['type']>(type: T, handler: OperationHandler<T>): [T, AnyOperationHandler] {
  const narrowed = (task: OperationTask): TaskOf<T> => {
    if (isOfType(task, type)) return task;
    throw new AppError('INTERNAL', { message: `A task of type ${task.type} was given to the handler of ${type}.` });
  };
  const { waitsForDevices, expiresInS } = handler;
  const check = async (task: OperationTask) => handler.check?.(narrowed(task));
  return [type, { waitsForDevices, expiresInS, check, run: (work) => handler.run({ ...work, task: narrowed(work.task) }) }];
}

function isOfType<T extends OperationTask['type']>(task: OperationTask, type: T): task is TaskOf<T> {
  return task.type === type;
}
