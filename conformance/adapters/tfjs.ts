/** The `tf.Optimizer` subclasses as implementations to be judged, on the TensorFlow.js backends that this machine has. */
import type * as Tf from '@tensorflow/tfjs';
import type { LrdOptimizer, ParameterGroup } from 'learning-rate-dropout';
import type { RuleName } from 'learning-rate-dropout/spec';
import { MASK_STATE, RULES } from 'learning-rate-dropout/spec';
import { defaultsOf, expandCase, sizeFault, stateNames } from '../protocol/expand.ts';
import { ALL_KINDS, drawnFault, drawsNothing, maskStateNames } from '../protocol/kinds.ts';
import type { Adapter, Case, CaseHyper, Feature, HyperValue, Outcome, StepRecord } from '../protocol/types.ts';
import { outcomeOf, select } from './outcome.ts';

export type TfjsBackend = 'cpu' | 'wasm' | 'webgl' | 'webgpu' | 'node' | 'node-gpu';

/** What tfjs itself calls a backend. */
const tfjsName = (backend: TfjsBackend): string => (backend.startsWith('node') ? 'tensorflow' : backend);

/** What may change between steps: these are properties of the optimizer. */
const SETTABLE = ['learningRate', 'weightDecay'] as const;

const isArray = (value: unknown): value is readonly unknown[] => Array.isArray(value);

function first(value: HyperValue | readonly HyperValue[]): HyperValue {
  return isArray(value) ? (value[0] as HyperValue) : value;
}

/** Words for a case that the optimizers cannot express; undefined where they can. */
function cannot(example: Case): string | undefined {
  if (isArray(example.masks)) return 'a fused step makes its own mask';
  if ((example.firstStep ?? 1) + example.gradients.length - 1 >= 2 ** 31)
    return 'tf.Optimizer saves its step count as an int32';
  const scheduled = Object.entries(example.hyper ?? {}).find(
    ([name, value]) => isArray(value) && !(SETTABLE as readonly string[]).includes(name),
  );
  if (scheduled !== undefined) return `${scheduled[0]} cannot change between steps`;
  for (const { hyper = {}, keepProbability } of example.parameters) {
    const other = Object.keys(hyper).find((name) => !(SETTABLE as readonly string[]).includes(name));
    if (other !== undefined) return `${other} cannot differ between variables`;
    if (isArray(keepProbability) || Object.values(hyper).some(isArray)) return 'a group cannot change between steps';
  }
  return undefined;
}

function groupsOf(example: Case, nameOf: (k: number) => string): ParameterGroup[] {
  return example.parameters.flatMap(({ excluded, hyper, keepProbability }, k): ParameterGroup[] => {
    if (excluded === undefined && hyper === undefined && keepProbability === undefined) return [];
    return [
      {
        match: nameOf(k),
        ...(excluded === undefined ? {} : { excluded }),
        ...(keepProbability === undefined || example.keepProbability === null
          ? {}
          : { keepProbability: keepProbability as number }),
        ...(hyper as { learningRate?: number; weightDecay?: number } | undefined),
      },
    ];
  });
}

class TfjsCase {
  private readonly tf: typeof Tf;
  private readonly example: Case;
  private readonly variables: Tf.Variable[];
  private readonly optimizer: LrdOptimizer;
  private readonly names: readonly string[];
  /** Gradients in the ring of `sgdm-avg`. */
  private readonly window: number;

  constructor(
    tf: typeof Tf,
    make: (rule: RuleName, options: object) => LrdOptimizer,
    example: Case,
    prefix: string,
    fallbackSeed: string,
  ) {
    this.tf = tf;
    this.example = example;
    const { tensors, mask } = expandCase(example);
    const nameOf = (k: number): string => `${prefix}/${k}`;
    const hyper = Object.fromEntries(Object.entries(example.hyper ?? {}).map(([name, value]) => [name, first(value)]));
    const p = example.keepProbability;
    const masked = example.mask !== undefined && p !== null;
    this.optimizer = make(example.rule as RuleName, {
      ...hyper,
      ...(masked ? { mask: example.mask } : {}),
      ...(masked && drawsNothing(example) ? {} : { keepProbability: p === null || p === undefined ? 1 : first(p) }),
      seed: example.seed ?? fallbackSeed,
      groups: groupsOf(example, nameOf),
    });
    const resolved = { ...defaultsOf(example.rule), ...hyper };
    const rule = example.rule as RuleName;
    this.names = [...stateNames(rule, resolved), ...(masked ? maskStateNames(mask, rule, resolved) : [])];
    this.window = Number(resolved['window'] ?? 0);
    this.variables = tensors.map(({ values, shape }, k) =>
      tf.tidy(() => tf.variable(tf.tensor(Float32Array.from(values), [...shape]), true, nameOf(k))),
    );
  }

  /** Continues from the case's state, through the same door as a checkpoint. */
  async restore(): Promise<void> {
    const { tf, example } = this;
    const firstStep = example.firstStep ?? 1;
    if (firstStep === 1 && example.state === undefined) {
      this.optimizer.bind(this.variables);
      return;
    }
    const count = example.state === undefined ? 0 : firstStep - 1;
    const weights = [
      { name: 'iter', tensor: tf.scalar(firstStep - 1, 'int32') as Tf.Tensor },
      {
        name: 'lrd/counts',
        tensor: tf.tensor1d(
          this.variables.map(() => count),
          'int32',
        ) as Tf.Tensor,
      },
      ...this.variables.flatMap((variable, k) =>
        this.names.map((name) => ({
          name: `${variable.name}/${name}`,
          tensor: this.stateTensor(variable, name, example.state?.[name]?.[k]),
        })),
      ),
    ];
    await this.optimizer.setWeights(weights);
    for (const { tensor } of weights) tensor.dispose();
    this.optimizer.bind(this.variables);
  }

  private stateTensor(variable: Tf.Variable, name: string, values: readonly number[] | undefined): Tf.Tensor {
    const shape =
      name === 'ring' ? [this.window, ...variable.shape] : name === MASK_STATE.alignment ? [] : variable.shape;
    const size = shape.reduce((product, n) => product * n, 1);
    return this.tf.tensor(values === undefined ? new Float32Array(size) : Float32Array.from(values), shape);
  }

  async run(): Promise<StepRecord[]> {
    const { tf, example, optimizer } = this;
    const { steps } = expandCase(example);
    const records: StepRecord[] = [];
    for (const [index, { tensors }] of steps.entries()) {
      if (index > 0) this.change(index);
      const gradients = tensors.map(({ gradient }, k) =>
        gradient === null ? null : tf.tensor(Float32Array.from(gradient), this.variables[k]?.shape),
      );
      optimizer.applyGradients(
        this.variables.map(({ name }, k) => ({ name, tensor: gradients[k] as unknown as Tf.Tensor })),
      );
      for (const gradient of gradients) gradient?.dispose();
      const parameters = await Promise.all(this.variables.map(async (v) => Array.from(await v.data<'float32'>())));
      const asked = example.report === undefined || example.report.includes('state');
      records.push(
        select(
          { parameters, masks: this.variables.map(() => null), ...(asked ? { state: await this.state() } : {}) },
          example.report,
        ),
      );
    }
    return records;
  }

  private change(index: number): void {
    const at = (value: HyperValue | readonly HyperValue[] | undefined): number | undefined =>
      isArray(value) ? (value[index] as number) : undefined;
    const hyper: CaseHyper = this.example.hyper ?? {};
    for (const name of SETTABLE) {
      const value = at(hyper[name]);
      if (value !== undefined) this.optimizer[name] = value;
    }
    const p = at(this.example.keepProbability as number | readonly number[] | undefined);
    if (p !== undefined) this.optimizer.keepProbability = p;
  }

  private async state(): Promise<NonNullable<StepRecord['state']>> {
    const [iterations, record, ...tensors] = await this.optimizer.getWeights();
    const values = new Map<string, readonly number[]>();
    for (const { name, tensor } of tensors) values.set(name, Array.from(await tensor.data<'float32'>()));
    iterations?.tensor.dispose();
    record?.tensor.dispose();
    // State is made at a variable's first gradient: until then it is zero.
    const zeros = (name: string, size: number): readonly number[] =>
      Array<number>(name === 'ring' ? this.window * size : name === MASK_STATE.alignment ? 1 : size).fill(0);
    return Object.fromEntries(
      this.names.map((name) => [
        name,
        this.variables.map((variable) => values.get(`${variable.name}/${name}`) ?? zeros(name, variable.size)),
      ]),
    );
  }

  dispose(): void {
    this.optimizer.dispose();
    for (const variable of this.variables) variable.dispose();
  }
}

/** Registers tfjs-wasm. In Node its binaries lie in the package; a page says where it serves them, with `setWasmPaths`. */
async function loadWasm(): Promise<void> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  if (typeof process === 'undefined' || process.versions?.node === undefined) return;
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
  const manifest = require.resolve('@tensorflow/tfjs-backend-wasm/package.json');
  setWasmPaths(manifest.replace(/package\.json$/, 'dist/'));
}

/** Starts a backend of tfjs. @throws Error when it does not start here */
export async function startBackend(tf: typeof Tf, backend: TfjsBackend): Promise<void> {
  if (backend === 'wasm') await loadWasm();
  if (backend === 'webgpu') await (await import('learning-rate-dropout')).useWebGpu();
  else if (backend === 'node' || backend === 'node-gpu') {
    await (await import('learning-rate-dropout')).useTensorflow(backend);
  } else await tf.setBackend(backend);
  await tf.ready();
  // tfjs falls back to another backend without a word.
  if (tf.getBackend() !== tfjsName(backend)) throw new Error(`tfjs started ${tf.getBackend()} instead of ${backend}`);
}

/** What a backend that runs declares of its arithmetic. */
async function arithmeticOf(backend: TfjsBackend): Promise<readonly Feature[]> {
  if (backend === 'webgpu') return ['relaxed-float32'];
  if (tfjsName(backend) !== 'tensorflow') return [];
  const { hasNativeOperations, tensorflow } = await import('learning-rate-dropout/internal/tfjs');
  // TensorFlow's own kernels flush subnormals, and its fused training operations take beta and form 1 - beta.
  return hasNativeOperations(tensorflow()) ? [] : ['relaxed-float32', 'float32-scalars'];
}

/** @throws Error when the backend does not start here */
export async function openTfjs(backend: TfjsBackend): Promise<Adapter> {
  const tf = await import('@tensorflow/tfjs');
  const lrd = await import('learning-rate-dropout');
  const make = (rule: RuleName, options: object): LrdOptimizer => {
    const factory = (rule === 'sgdm-avg' ? lrd.sgdmAvg : lrd[rule]) as ((options: object) => LrdOptimizer) | undefined;
    if (factory === undefined)
      throw new lrd.InvalidArgumentError(`rule must be one of ${Object.keys(RULES).join(', ')}, got ${rule as string}`);
    return factory(options);
  };
  // Without this, tfjs checks every value and prints an advertisement for another backend.
  tf.enableProdMode();
  await startBackend(tf, backend);
  let cases = 0;
  return {
    implementation: {
      name: `tfjs-${backend}`,
      version: tf.version.tfjs,
      language: 'typescript',
      precision: 'float32',
      rules: Object.keys(RULES),
      masks: ['stream'],
      kinds: ALL_KINDS,
      features: ['state', 'resume', 'base', 'schedule', 'groups', 'null-gradient', ...(await arithmeticOf(backend))],
    },
    run: async (example): Promise<Outcome> => {
      cases += 1;
      const reason = cannot(example);
      if (reason !== undefined) return { kind: 'skipped', reason };
      const fault = sizeFault(example) ?? drawnFault(example);
      if (fault !== undefined) return { kind: 'errored', code: 'invalid-argument', message: fault };
      // Several adapters may take turns in one process.
      if (tf.getBackend() !== tfjsName(backend)) await tf.setBackend(tfjsName(backend));
      let running: TfjsCase | undefined;
      const outcome = await outcomeOf(async () => {
        running = new TfjsCase(tf, make, example, `case${backend}${cases}`, `0x${cases.toString(16)}`);
        await running.restore();
        return running.run();
      });
      running?.dispose();
      return outcome;
    },
    close: () => Promise.resolve(),
  };
}
