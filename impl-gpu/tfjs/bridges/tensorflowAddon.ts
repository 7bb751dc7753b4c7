/** Whether the addon of tfjs-node has this package's operations. */
import { nativeOperations } from '../../tensorflow/native.ts';
import type { Tensorflow } from './tensorflow.ts';
import { TYPES, withOwned } from './tensorflow.ts';

const known = new WeakMap<Tensorflow, boolean>();

function ask(tensorflow: Tensorflow): boolean {
  const { hold, giveBack } = nativeOperations();
  const { attribute } = tensorflow;
  try {
    withOwned(tensorflow, (own) => {
      const ticket = own(
        tensorflow.run(hold, [attribute.whole('N', 1)], own(tensorflow.tensor([], TYPES.float32, new Float32Array(1)))),
      );
      tensorflow.runMany(giveBack, [attribute.whole('M', 1)], 1, [ticket]).forEach(own);
    });
    return true;
  } catch {
    return false;
  }
}

/** Whether the addon below tfjs was built with this package's source (`lrd setup tensorflow`); on a GPU its operations are of no use. */
export function hasNativeOperations(tensorflow: Tensorflow): boolean {
  if (tensorflow.gpu) return false;
  const has = known.get(tensorflow) ?? ask(tensorflow);
  known.set(tensorflow, has);
  return has;
}
