/**
 * Puts back what tfjs-node 4.22 takes from `util` and Node 23 removed: `isNullOrUndefined` and `isArray`. Does nothing where
 * they still are. `util` is a parameter for tests.
 */
export function restoreUtil(util: Record<string, unknown> = process.getBuiltinModule('node:util')): void {
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  util['isArray'] ??= Array.isArray;
}
