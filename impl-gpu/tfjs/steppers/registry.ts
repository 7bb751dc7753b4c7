import { UnsupportedError } from '../../validate.ts';

/** What has been registered, by name. */
export interface Registry<Extensions extends object> {
  /** Registers an extension; a second time changes nothing. */
  extend<Name extends keyof Extensions>(this: void, name: Name, extension: Extensions[Name]): void;
  /** An extension, if it has been registered. */
  extension<Name extends keyof Extensions>(this: void, name: Name): Extensions[Name] | undefined;
  /**
   * An extension that somebody has asked for. Throws `UnsupportedError`, with the call that brings it, where it is not there.
   * @param what - that asks for it, as the message begins
   */
  needed<Name extends keyof Extensions>(this: void, name: Name, what: string): Extensions[Name];
}

/** @param calls - who brings what users ask for by an option */
export function createRegistry<Extensions extends object>(
  calls: Readonly<Partial<Record<keyof Extensions, string>>>,
): Registry<Extensions> {
  const registered: Partial<Extensions> = {};
  return {
    extend: (name, extension) => void (registered[name] ??= extension),
    extension: (name) => registered[name],
    needed: (name, what) => {
      const found = registered[name];
      if (found === undefined) throw new UnsupportedError(`${what} must be loaded before it is used: ${calls[name]}`);
      return found;
    },
  };
}
