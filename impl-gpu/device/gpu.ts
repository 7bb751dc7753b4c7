/**
 * Where a `GPUDevice` comes from: the browser's `navigator.gpu`, or in Node Dawn (npm package `webgpu`), on the system's
 * drivers if they have a GPU and else on SwiftShader. Hardware always wins over software, and no adapter is an error: nothing
 * here falls back to another kind of backend.
 */
import { UnsupportedError } from '../validate.ts';

/** What WebGPU tells of an adapter. */
export interface AdapterDescription {
  /** As the adapter names it; may be empty, as the next three. */
  readonly vendor: string;
  /** The family of the GPU. */
  readonly architecture: string;
  /** The model. */
  readonly device: string;
  /** Its name in words. */
  readonly description: string;
  /** Runs on the CPU. */
  readonly software: boolean;
}

/** One way to an adapter, tried or not. */
export interface GpuAttempt {
  /** `navigator.gpu`, `Dawn on the system's drivers`, or `Dawn on SwiftShader from ...`. */
  readonly source: string;
  /** What answered; undefined where nothing did. */
  readonly adapter: AdapterDescription | undefined;
  /** What happened, in words. */
  readonly outcome: string;
}

/** What was found, what was chosen and why, and how to get what is missing: for `lrd doctor`. */
export interface GpuDiagnosis {
  /** Every way to an adapter, in the order in which they were tried. */
  readonly attempts: readonly GpuAttempt[];
  /** The attempt that gave the adapter in use. */
  readonly chosen: GpuAttempt | undefined;
  /** Why this adapter, or why none: a sentence. */
  readonly why: string;
  /** What to install or change, a sentence each; empty with a hardware adapter. */
  readonly advice: readonly string[];
  /** The adapter's limits that decide which models fit. */
  readonly limits: Readonly<Record<string, number>> | undefined;
  /** Names of the adapter's optional features; undefined without one. */
  readonly features: readonly string[] | undefined;
}

/** An open device. */
export interface Gpu {
  /** Ready to work; the caller destroys it. */
  readonly device: GPUDevice;
  /** The adapter that it is of. */
  readonly adapter: GPUAdapter;
  /** What the adapter says of itself. */
  readonly description: AdapterDescription;
  /** How it was found, and what else was tried. */
  readonly diagnosis: GpuDiagnosis;
}

/** Which adapters are wanted. `auto`: hardware, else software. */
export type AdapterKind = 'auto' | 'hardware' | 'software';

interface Found {
  readonly adapter: GPUAdapter | undefined;
  readonly attempts: readonly GpuAttempt[];
  readonly advice: readonly string[];
}

/** Limits that are asked for at the adapter's best: the defaults (128 MiB bindings) stop a 33 M parameter model. */
const WANTED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/** Features that are asked for where the adapter has them: timing, and what tfjs and gpu.js may use. */
const WANTED_FEATURES = [
  'timestamp-query',
  'shader-f16',
  'bgra8unorm-storage',
] as const satisfies readonly GPUFeatureName[];

/** Dawn crashes when these are collected while a device lives. */
const held: unknown[] = [];

export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  // `isFallbackAdapter` moved to the info; Mesa's llvmpipe and SwiftShader of older browsers do not set it.
  const software =
    (adapter.info as { isFallbackAdapter?: boolean }).isFallbackAdapter === true ||
    /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${architecture} ${device} ${description}`);
  return { vendor, architecture, device, description, software };
}

function nameOf({ vendor, architecture, device, description }: AdapterDescription): string {
  const parts = [vendor, architecture, device].filter((part) => part !== '');
  return description || parts.join(' ') || 'an unnamed adapter';
}

interface Answer {
  readonly adapter: GPUAdapter | undefined;
  readonly attempt: GpuAttempt;
}

async function ask(gpu: GPU, source: string): Promise<Answer> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) return { adapter: undefined, attempt: { source, adapter: undefined, outcome: 'no adapter' } };
  held.push(gpu, adapter);
  const description = describeAdapter(adapter);
  const kind = description.software ? 'software' : 'hardware';
  return { adapter, attempt: { source, adapter: description, outcome: `${kind} adapter: ${nameOf(description)}` } };
}

const fits = (attempt: GpuAttempt, kind: AdapterKind): boolean =>
  attempt.adapter !== undefined && (kind === 'auto' || (kind === 'software') === attempt.adapter.software);

async function findInBrowser(gpu: GPU, kind: AdapterKind): Promise<Found> {
  const { adapter, attempt } = await ask(gpu, 'navigator.gpu');
  const advice = adapter === undefined ? ['Use a browser with WebGPU turned on and a GPU that it does not block.'] : [];
  return { adapter: fits(attempt, kind) ? adapter : undefined, attempts: [attempt], advice };
}

interface Dawn {
  create(options: string[]): GPU;
  readonly globals: Record<string, unknown>;
}

async function findInNode(kind: AdapterKind): Promise<Found> {
  const attempts: GpuAttempt[] = [];
  let dawn: Dawn;
  try {
    // By a name that no bundler for browsers can follow.
    const name: string = 'webgpu';
    dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Dawn;
  } catch (error) {
    const missing = (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';
    const reason = missing
      ? 'the npm package webgpu is not installed'
      : `the npm package webgpu does not load: ${(error as Error).message.split('\n')[0]}`;
    attempts.push({ source: 'Dawn', adapter: undefined, outcome: reason });
    return { adapter: undefined, attempts, advice: ['Install Dawn for Node: npm install webgpu'] };
  }
  // GPUBufferUsage and its kin, as a browser has them.
  for (const [name, value] of Object.entries(dawn.globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  const { bringLoader, findSoftwareDrivers, systemHasDriver, systemHasLoader, withSoftwareDriver } =
    await import('./softwareDriver.ts');
  if (!systemHasLoader()) bringLoader(findSoftwareDrivers());
  const source = "Dawn on the system's drivers";
  const system: Answer = systemHasDriver()
    ? await ask(dawn.create([]), source)
    : { adapter: undefined, attempt: { source, adapter: undefined, outcome: 'no Vulkan driver is installed' } };
  attempts.push(system.attempt);
  if (system.attempt.adapter !== undefined && (fits(system.attempt, kind) || kind === 'hardware')) {
    const found = fits(system.attempt, kind) ? system.adapter : undefined;
    return { adapter: found, attempts, advice: found === undefined ? [DRIVER_ADVICE] : [] };
  }
  if (kind === 'hardware') return { adapter: undefined, attempts, advice: [DRIVER_ADVICE] };
  for (const { origin, directory, reason } of findSoftwareDrivers()) {
    const source = `Dawn on SwiftShader from ${origin}`;
    if (directory === undefined) {
      attempts.push({ source, adapter: undefined, outcome: reason ?? 'not found' });
      continue;
    }
    const software = await withSoftwareDriver(directory, () => ask(dawn.create([]), source));
    attempts.push(software.attempt);
    if (fits(software.attempt, kind)) return { adapter: software.adapter, attempts, advice: [DRIVER_ADVICE] };
  }
  return { adapter: undefined, attempts, advice: [DRIVER_ADVICE, SOFTWARE_ADVICE] };
}

const DRIVER_ADVICE =
  'For a hardware adapter install the GPU vendor\'s driver with Vulkan (Linux: and libvulkan1, with the user in group "render").';
const SOFTWARE_ADVICE =
  'For a software adapter on Linux: npm install @sparticuz/chromium (x64, no root needed), or apt-get install chromium.';

function explain(chosen: GpuAttempt | undefined, kind: AdapterKind): string {
  if (chosen === undefined) return `no ${kind === 'auto' ? '' : `${kind} `}WebGPU adapter was found`;
  if (chosen.adapter?.software === false) return 'a hardware adapter wins over every software one';
  return kind === 'software' ? 'a software adapter was asked for' : 'no hardware adapter was found';
}

/** Bundlers for browsers may bring a `process` of their own. */
const inNode = (): boolean => typeof process !== 'undefined' && process.versions?.node !== undefined;

/** What was put in the place of `navigator.gpu` for tfjs's sake, in Node: its one adapter has its device already. */
export const standIns = new WeakSet<object>();

async function find(kind: AdapterKind): Promise<{ adapter: GPUAdapter | undefined; diagnosis: GpuDiagnosis }> {
  const browser = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  let found: Found = {
    adapter: undefined,
    attempts: [{ source: 'navigator.gpu', adapter: undefined, outcome: 'this browser has no WebGPU' }],
    advice: ['Use a browser with WebGPU, over https or on localhost.'],
  };
  if (browser !== undefined && !standIns.has(browser)) found = await findInBrowser(browser, kind);
  else if (inNode()) found = await findInNode(kind);
  const { adapter, attempts, advice } = found;
  const chosen = adapter === undefined ? undefined : attempts.at(-1);
  const limits =
    adapter === undefined ? undefined : Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]]));
  return {
    adapter,
    diagnosis: {
      attempts,
      chosen,
      why: explain(chosen, kind),
      advice,
      limits,
      features: adapter === undefined ? undefined : [...adapter.features].sort(),
    },
  };
}

/** Looks for adapters without opening a device. In Node it loads Dawn and, without a GPU, SwiftShader. */
export async function diagnoseGpu(kind: AdapterKind = 'auto'): Promise<GpuDiagnosis> {
  return (await find(kind)).diagnosis;
}

/**
 * Opens a device at the adapter's best limits: one for tfjs, gpu.js and the engines together. Give it back with
 * `device.destroy()`; a Node process that forgets to still ends by itself.
 * Throws `UnsupportedError` when there is no adapter of that kind, with everything that was tried and what to do.
 */
export async function openGpu(kind: AdapterKind = 'auto'): Promise<Gpu> {
  const { adapter, diagnosis } = await find(kind);
  if (adapter === undefined) {
    const tried = diagnosis.attempts.map(({ source, outcome }) => `${source}: ${outcome}`).join('; ');
    throw new UnsupportedError(`${diagnosis.why} (${tried}). ${diagnosis.advice.join(' ')}`);
  }
  const device = await adapter.requestDevice({
    requiredLimits: Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]])),
    requiredFeatures: WANTED_FEATURES.filter((feature) => adapter.features.has(feature)),
  });
  return { device, adapter, description: describeAdapter(adapter), diagnosis };
}
