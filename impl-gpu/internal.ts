/**
 * What the command's package takes of the library beside its public face. No promise: a minor version may change any of it.
 *
 * @internal
 */
export { decodeBase64 } from './base64.ts';
export { foreignText } from './foreignText.ts';
export { select } from './selection.ts';
export { sizeOf } from './shape.ts';
export { InvalidArgumentError, UnsupportedError } from './validate.ts';
export { launchOf } from './distributed/launcher.ts';
