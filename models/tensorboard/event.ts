/**
 * TensorFlow's `Event` (tensorflow/core/util/event.proto) and `Summary` (tensorflow/core/framework/summary.proto) in protobuf's wire format, as
 * much of them as scalars need.
 */

/** Field numbers of `Event`, `Summary`, `Summary.Value` and `SessionLog`. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const SUMMARY_VALUE = 1;
const VALUE = { tag: 1, simpleValue: 2 } as const;
const SESSION_STATUS = 1;
/** `SessionLog.START`: readers drop what they have from this step on. */
const START = 1;

/** Wire types. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  // Steps are below 2^53: no shifts, which end at 32 bits.
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  bytes.push(value);
  return Buffer.from(bytes);
}

const key = (field: number, type: number): Buffer => varint(field * 8 + type);
const whole = (field: number, value: number): Buffer => Buffer.concat([key(field, VARINT), varint(value)]);
const bytes = (field: number, data: Uint8Array): Buffer =>
  Buffer.concat([key(field, BYTES), varint(data.length), data]);

function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, FIXED64), data]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, FIXED32), data]);
}

/** The first event of every file. `wallTime` in seconds since 1970. */
export function versionEvent(wallTime: number): Uint8Array {
  return Buffer.concat([double(EVENT.wallTime, wallTime), bytes(EVENT.fileVersion, Buffer.from('brain.Event:2'))]);
}

/** Says that a run has started (again) at `step`: readers drop what other files have from this step on. */
export function startEvent(wallTime: number, step: number): Uint8Array {
  return Buffer.concat([
    double(EVENT.wallTime, wallTime),
    whole(EVENT.step, step),
    bytes(EVENT.sessionLog, whole(SESSION_STATUS, START)),
  ]);
}

/** Scalars of one step, by tag. */
export function scalarsEvent(wallTime: number, step: number, scalars: Readonly<Record<string, number>>): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytes(SUMMARY_VALUE, Buffer.concat([bytes(VALUE.tag, Buffer.from(tag)), float(VALUE.simpleValue, value)])),
  );
  return Buffer.concat([
    double(EVENT.wallTime, wallTime),
    whole(EVENT.step, step),
    bytes(EVENT.summary, Buffer.concat(values)),
  ]);
}

/** The step of an event that was written here; 0 for one that has none. */
export function stepOf(event: Buffer): number {
  // Behind the wall time, a key of one byte and eight bytes of value.
  const at = 9;
  if (event[at] !== EVENT.step * 8 + VARINT) return 0;
  let step = 0;
  for (let i = at + 1, scale = 1; i < event.length; i++, scale *= 128) {
    const byte = event[i] as number;
    step += (byte & 127) * scale;
    if (byte < 128) break;
  }
  return step;
}
