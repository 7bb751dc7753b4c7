/** A tensor's record in a backend of tfjs, as far as it holds values. */
interface Holder {
  values?: unknown;
}

/** Arrays that nobody else holds, by the record that has them. */
const unread = new WeakMap<Holder, Float32Array>();

/** The array behind a record's values as long as nobody has asked for them. */
export function unreadOf(record: Holder): Float32Array | undefined {
  return unread.get(record);
}

/** Puts an array in place and forgets it once anybody reads it: a kernel, or `data()` for someone who may keep it. */
export function putUnread(record: Holder, array: Float32Array): void {
  const settle = (value: unknown): void => {
    unread.delete(record);
    Object.defineProperty(record, 'values', {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  };
  unread.set(record, array);
  Object.defineProperty(record, 'values', {
    configurable: true,
    enumerable: true,
    get: () => {
      settle(array);
      return array;
    },
    set: settle,
  });
}
