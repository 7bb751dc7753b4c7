/**
 * TensorFlow under tfjs: where `lrd setup tensorflow` leaves what it builds, and how that is loaded. Node only.
 *
 * @module learning-rate-dropout/tensorflow
 */
export type { Manifest, TensorflowLane } from './installation.ts';
export {
  ADDON,
  DESCRIPTORS,
  MANIFEST,
  TFJS_SYMBOL,
  installationFolder,
  readInstallation,
  thisPlatform,
} from './installation.ts';
export type { LoadedTensorflow } from './load.ts';
export { loadTensorflow, tensorflowAdvice, tensorflowMissing } from './load.ts';
export type { NativeSource } from './native.ts';
export { nativeSource, nativeVersion } from './native.ts';
