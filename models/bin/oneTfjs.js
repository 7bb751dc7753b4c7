/**
 * One tfjs in the process. Where npm has put library and command side by side (`npm install --global` of both), each has a tfjs below
 * its own folder, and two copies are two sets of kernels over one engine. Then what the library imports of `@tensorflow` is this
 * package's.
 */
import { createRequire, register } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const library = require.resolve('learning-rate-dropout/package.json');
const TFJS = '@tensorflow/tfjs/package.json';

function resolveFrom(path) {
  try {
    return createRequire(path).resolve(TFJS);
  } catch {
    return undefined;
  }
}

if (resolveFrom(library) !== require.resolve(TFJS)) {
  const hooks = `
    let places;
    export const initialize = (data) => { places = data; };
    export const resolve = (specifier, context, next) =>
      next(specifier, specifier.startsWith('@tensorflow/') && context.parentURL?.startsWith(places.library)
        ? { ...context, parentURL: places.command } : context);`;
  register(`data:text/javascript,${encodeURIComponent(hooks)}`, {
    data: { library: new URL('.', pathToFileURL(library)).href, command: import.meta.url },
  });
}
