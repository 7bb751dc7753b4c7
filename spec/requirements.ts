/**
 * What must hold, one record a requirement. Ids never change and are never used again; a requirement that falls is marked so.
 * `SPECIFICATION.md` is generated from this file (`spec/render.ts`).
 */

/** What a checker needs of an implementation to judge a requirement; the words of the conformance protocol. */
export type Capability =
  | 'masks:stream'
  | 'masks:given'
  | 'masks:own'
  | 'state'
  | 'resume'
  | 'base'
  | 'schedule'
  | 'groups'
  | 'null-gradient'
  | 'kinds:skip-update'
  | 'kinds:magma'
  | 'kinds:cautious';

/** How near an answer must come. */
export type Tolerance =
  /** Bit for bit, or yes or no. */
  | { readonly class: 'exact' }
  /** Inside an interval around the true value; the derivation says how wide and why. */
  | { readonly class: 'interval'; readonly derivation: string }
  /** A hypothesis test with a stated error rate. */
  | { readonly class: 'statistical'; readonly derivation: string };

/** Something that must hold, with where it comes from and how nearly. */
export interface Requirement {
  /** `LRD-AREA-NNN`. */
  readonly id: string;
  /** Whether it is a finding (`MUST`) or a remark (`SHOULD`) where it does not hold. */
  readonly level: 'MUST' | 'SHOULD';
  /**
   * Whom it binds: `implementation`, any program that claims learning rate dropout, or the kind of mask that it is about; `package`, this package's comparators, schedules
   * and experiments; `analysis`, nobody: a sentence of the papers that is true or false, and is tested as such on the reference.
   */
  readonly binds: 'implementation' | 'package' | 'analysis';
  /** What must hold, in a sentence. */
  readonly statement: string;
  /** The formula, in LaTeX. */
  readonly latex?: string;
  /** Where it comes from. */
  readonly locus: string;
  /** Equation or line of Algorithm 1 that it states, for the table of the specification. */
  readonly equation?: string;
  /** Where it holds. */
  readonly domain: string;
  /** How near an answer must come. */
  readonly tolerance: Tolerance;
  /** What an implementation must be able to do for it to be judged. */
  readonly capability: readonly Capability[];
  /** The reference's function, as `file#export`. */
  readonly reference?: string;
  /** Where the papers are silent, ambiguous or wrong: what was decided, and why. */
  readonly decision?: string;
}

const exact: Tolerance = { class: 'exact' };

/** Reference against another float64 program: both round each operation, at most a few dozen of them a step. */
const float64: Tolerance = {
  class: 'interval',
  derivation:
    "float64: |error| <= 1e-14 (|theta| + sum of |alpha deltaW|). A step makes fewer than 40 roundings of 2^-53 each, so 4.4e-15 of the step; the rest is head room. RAdam: 1e-12, as pow may differ by an ulp and the rectification amplifies it. float32: the interval of the true step from the implementation's own state, widened by each operation's error.",
};

const falseAlarm = (catches: string): Tolerance => ({
  class: 'statistical',
  derivation: `two-sided test whose false-alarm rate is its share of 1e-6 for the whole suite; must catch ${catches} with probability above 1 - 1e-6`,
});

const anyP = 'p in [2^-16, 1]';
const tnnls = 'TNNLS 2022';

const algorithm: readonly Requirement[] = [
  {
    id: 'LRD-ALG-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Each step takes its gradient at the parameters that the step before left, kept and dropped coordinates alike.',
    latex: 'G_t = \\nabla f_t(W_{t-1})',
    locus: `${tnnls}, Algorithm 1, line 2; arXiv v1, Algorithm 1, line 2`,
    equation: 'Algorithm 1, line 2',
    domain: 't >= 1',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
    decision:
      'Weight decay is not in line 2. Coupled L2 is added to G_t (LRD-RULE-010), decoupled decay to Delta W_t (LRD-RULE-011).',
  },
  {
    id: 'LRD-ALG-002',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'The first moment accumulates every gradient, whether or not the coordinate is dropped: masks never enter it.',
    latex: 'M_t = \\phi_t(G_1, \\dots, G_t)',
    locus: `${tnnls}, Algorithm 1, line 3 and section III-C`,
    equation: 'Algorithm 1, line 3',
    domain: 'every rule with a first moment',
    tolerance: exact,
    capability: ['masks:given', 'state'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
  {
    id: 'LRD-ALG-003',
    level: 'MUST',
    binds: 'implementation',
    statement: 'The second moment accumulates every squared gradient, whether or not the coordinate is dropped.',
    latex: 'V_t = \\psi_t(G_1, \\dots, G_t)',
    locus: `${tnnls}, Algorithm 1, line 5`,
    equation: 'Algorithm 1, line 5',
    domain: 'adaptive rules: rmsprop, adam, amsgrad, radam, adamw',
    tolerance: exact,
    capability: ['masks:given', 'state'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
  {
    id: 'LRD-ALG-004',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'An adaptive rule steps along its first moment over the root of its second, as its own source defines both.',
    latex: '\\Delta W_t = M_t / \\sqrt{V_t}',
    locus: `${tnnls}, Algorithm 1, line 6`,
    equation: 'Algorithm 1, line 6',
    domain: 'adaptive rules',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/index.ts#BASE_RULES',
    decision: 'Line 6 has neither epsilon nor bias correction; each rule brings its own (LRD-RULE-003 to 008).',
  },
  {
    id: 'LRD-ALG-005',
    level: 'MUST',
    binds: 'implementation',
    statement: 'A rule that is not adaptive steps along its first moment.',
    latex: '\\Delta W_t = M_t',
    locus: `${tnnls}, Algorithm 1, line 8`,
    equation: 'Algorithm 1, line 8',
    domain: 'sgdm, sgdm-avg',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/sgdm.ts#sgdm',
  },
  {
    id: 'LRD-ALG-006',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'At every step each scalar parameter gets a mask bit of its own, drawn anew: 1 with probability p, independently of all others.',
    latex: 'd_t^{(i)} \\sim \\mathrm{Bernoulli}(p)',
    locus: `${tnnls}, Algorithm 1, line 10 and section III-B; arXiv v1: d_{ij,t}`,
    equation: 'Algorithm 1, line 10',
    domain: anyP,
    tolerance: falseAlarm('a keep rate off by .01 at p = .5'),
    capability: ['masks:own'],
    reference: 'impl-ref/masks.ts#streamMask',
  },
  {
    id: 'LRD-ALG-007',
    level: 'MUST',
    binds: 'implementation',
    statement: 'The learning rate of a kept coordinate is alpha, of a dropped one 0; nothing is rescaled by 1/p.',
    latex: 'A_t = \\alpha D_t',
    locus: `${tnnls}, eq. (2) and Algorithm 1, line 11; arXiv v1, eq. (2)`,
    equation: '(2); Algorithm 1, line 11',
    domain: anyP,
    tolerance: float64,
    capability: ['masks:given'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
    decision:
      "Standard dropout divides by the retain probability; learning rate dropout has no such factor in text or code, so the mean step is p times the base rule's.",
  },
  {
    id: 'LRD-ALG-008',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A kept coordinate moves by exactly -alpha deltaW, the step that the base rule would make from the same state.',
    latex: 'W_t = W_{t-1} - A_t \\circ \\Delta W_t',
    locus: `${tnnls}, Algorithm 1, line 12; arXiv v1, lines 12 and 13 with U_t = A_t o Delta W_t`,
    equation: 'Algorithm 1, line 12',
    domain: 'kept coordinates',
    tolerance: float64,
    capability: ['masks:given'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
];

const equations: readonly Requirement[] = [
  {
    id: 'LRD-EQ-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'The momentum is a linear recursion: SGDM with eta = 1 from buf_1 = g_1, Adam and its relatives with eta = 1 - beta from zero.',
    latex: 'M_t = \\beta M_{t-1} + \\eta G_t',
    locus: `${tnnls}, eq. (1); arXiv v1, eq. (1)`,
    equation: '(1)',
    domain: 'sgdm with momentum > 0; adam, amsgrad, radam, adamw',
    tolerance: float64,
    capability: ['state'],
    reference: 'impl-ref/rules/adam.ts#updateMoments',
    decision:
      'The text calls both an exponentially moving average (EMAvg); only eta = 1 - beta makes one. SGDM sums: its gain is 1/(1 - beta).',
  },
  {
    id: 'LRD-EQ-003',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'The interval between two updates of a coordinate is geometric on 1, 2, ...: whatever its age, it ends at the next step with probability p; its mean is 1/p, its variance (1 - p)/p^2.',
    latex:
      'P(\\lambda = k) = p\\,(1-p)^{k-1}, \\qquad E(\\lambda) = \\frac{1}{p}, \\qquad \\mathrm{Var}(\\lambda) = \\frac{1-p}{p^2}',
    locus: `${tnnls}, eq. (3)`,
    equation: '(3)',
    domain: `${anyP}; per interval, or waiting from a fixed step`,
    tolerance: falseAlarm('a hazard off by .03 at any age up to 4, p = .5 and .3'),
    capability: ['masks:own'],
    reference: 'impl-ref/analysis/intervals.ts#completeIntervals',
    decision:
      'A run of finite length cuts its last interval off: the mean over complete intervals is biased low. What is tested is the hazard P(kept | age) = p, and trials over kept.',
  },
  {
    id: 'LRD-EQ-004',
    level: 'MUST',
    binds: 'analysis',
    statement: 'Without learning rate dropout the momentum of a coordinate stores one gradient at each of its values.',
    latex: 'm_t^{(i)} = \\beta m_{t-1}^{(i)} + \\eta \\nabla f_t(w_{t-1}^{(i)})',
    locus: `${tnnls}, eq. (4)`,
    equation: '(4)',
    domain: 'p = 1',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/analysis/accumulation.ts#momentumStep',
  },
  {
    id: 'LRD-EQ-005',
    level: 'MUST',
    binds: 'analysis',
    statement: 'Without learning rate dropout every coordinate moves at every step by -alpha times its momentum.',
    latex: 'w_t^{(i)} = w_{t-1}^{(i)} - \\alpha m_t^{(i)}',
    locus: `${tnnls}, eq. (5)`,
    equation: '(5)',
    domain: 'p = 1, sgdm without Nesterov',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
  {
    id: 'LRD-EQ-006',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A coordinate keeps its value while it is dropped, and on its next update moves by -alpha times the momentum of that step.',
    latex:
      'w_{t-1+\\varepsilon}^{(i)} = \\begin{cases} w_{t-1}^{(i)}, & 1 \\le \\varepsilon < \\lambda \\\\ w_{t-1}^{(i)} - \\alpha m_{t-1+\\lambda}^{(i)}, & \\varepsilon = \\lambda \\end{cases}',
    locus: `${tnnls}, eq. (6)`,
    equation: '(6)',
    domain: 'sgdm with momentum > 0, without Nesterov; any run of dropped steps',
    tolerance: float64,
    capability: ['masks:given'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
  {
    id: 'LRD-EQ-007',
    level: 'MUST',
    binds: 'analysis',
    statement:
      'The momentum at the end of an interval is one step of the recursion from the step before, with a gradient taken where the coordinate has stood since t - 1.',
    latex: 'm_{t-1+\\lambda}^{(i)} = \\beta m_{t-2+\\lambda}^{(i)} + \\eta \\nabla f_{t-1+\\lambda}(w_{t-1}^{(i)})',
    locus: `${tnnls}, eq. (7)`,
    equation: '(7)',
    domain: 'sgdm with momentum > 0',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/analysis/accumulation.ts#momentumStep',
    decision:
      'Only coordinate i stands still. The gradient is evaluated at all of W_{t-2+lambda}, whose other coordinates have moved, so it is not the gradient at one fixed point.',
  },
  {
    id: 'LRD-EQ-008',
    level: 'MUST',
    binds: 'implementation',
    statement: 'After lambda steps the momentum holds every gradient of the interval, discounted by age.',
    latex:
      'm_{t-1+\\lambda}^{(i)} = \\beta^\\lambda m_{t-1}^{(i)} + \\eta \\sum_{\\epsilon=1}^{\\lambda} \\beta^{\\lambda-\\epsilon} \\nabla f_{t-1+\\epsilon}(w_{t-1}^{(i)})',
    locus: `${tnnls}, eq. (8)`,
    equation: '(8)',
    domain: 'sgdm with momentum > 0 and dampening 0; first moment of adam, amsgrad, radam, adamw; any lambda >= 1',
    tolerance: {
      class: 'interval',
      derivation:
        'recursion and closed form each round at most 2 lambda + 2 times: |difference| <= (4 lambda + 4) 2^-53 (|beta^lambda m| + eta sum beta^(lambda - e) |g_e|)',
    },
    capability: ['masks:given', 'state'],
    reference: 'impl-ref/analysis/accumulation.ts#accumulatedMomentum',
  },
  {
    id: 'LRD-EQ-009',
    level: 'MUST',
    binds: 'package',
    statement: 'The toy function, its gradient and its stationary points in the box x in [-4, 0], y in [-2, 3].',
    latex: 'f(x,y) = (1.5 - x^2 + xy)^2 + (2.25 - x^2 + xy^2)^2 + (2.625 - x^2 + xy^3)^2',
    locus: `${tnnls}, eq. (9); arXiv v1, eq. (3)`,
    equation: '(9)',
    domain: 'x in [-4, 0], y in [-2, 3]',
    tolerance: {
      class: 'interval',
      derivation:
        'stationary points to 5e-13, from the twelve decimals given; gradient and Hessian against central differences to 1e-5 (1 + f)',
    },
    capability: [],
    reference: 'impl-ref/toy/surface.ts#surface',
    decision:
      "The paper's (-0.74, 1.40) is no stationary point (f = .0727, gradient (1.65, -1.33)). The global minimum is (-0.749401668211, 1.416493746403), f = .053717241043; the other minimum (-1.503558040503, -0.333616532484), f = .275335317840.",
  },
  {
    id: 'LRD-EQ-010',
    level: 'MUST',
    binds: 'implementation',
    statement: 'The averaging rule steps along the plain mean of the last k gradients.',
    latex: 'M_t = \\frac{1}{k} \\sum_{\\varepsilon=0}^{k-1} G_{t-\\varepsilon}',
    locus: `${tnnls}, eq. (10)`,
    equation: '(10)',
    domain: 'sgdm-avg, k >= 1',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/sgdmAvg.ts#sgdmAvg',
    decision:
      'G_s = 0 for s < 1 and the divisor stays k, as M_0 = 0 does for eq. (1). At equal alpha Table VI compares a gain of 1 (mean) with one of 10 (momentum .9).',
  },
];

const masks: readonly Requirement[] = [
  {
    id: 'LRD-MASK-001',
    level: 'MUST',
    binds: 'implementation',
    statement: 'p is the probability that a coordinate is updated (kept). It is called keepProbability.',
    latex: 'p = P(d_t^{(i)} = 1)',
    locus: `${tnnls}, section III-B ("kept with probability p"), IV-A ("the probability of performing an individual parameter update")`,
    domain: anyP,
    tolerance: falseAlarm('p and 1 - p taken for each other, at p = .3'),
    capability: ['masks:own'],
    reference: 'impl-ref/masks.ts#streamMask',
    decision:
      'The papers call it dropout rate, half of the public implementations read it as the probability of dropping.',
  },
  {
    id: 'LRD-MASK-002',
    level: 'MUST',
    binds: 'implementation',
    statement: "With p = 1 every value is bit-identical to the base rule's, and nothing is drawn.",
    locus: `${tnnls}, Algorithm 1 with D_t = 1`,
    domain: 'p = 1, every rule',
    tolerance: exact,
    capability: ['base'],
    reference: 'impl-ref/masks.ts#streamMask',
    decision: 'The papers do not say it; without it no comparison with and without learning rate dropout is fair.',
  },
  {
    id: 'LRD-MASK-003',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A dropped coordinate keeps its very bits: subnormals, negative zero and NaN included, whatever deltaW is, NaN and infinities included.',
    latex: 'd_t^{(i)} = 0 \\implies w_t^{(i)} = w_{t-1}^{(i)}',
    locus: `${tnnls}, section III-B: "a learning rate of 0 means not updating its value"`,
    domain: 'every value and every deltaW',
    tolerance: exact,
    capability: ['masks:given'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
    decision: "Select, never multiply: 0 times NaN or infinity is NaN. The authors' code multiplies.",
  },
  {
    id: 'LRD-MASK-004',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'State, step count and bias correction after a step do not depend on the mask, given the same gradients after L2.',
    locus: `${tnnls}, section III-B and III-C: "all gradient information is stored"`,
    domain: 'every rule, given gradients',
    tolerance: exact,
    capability: ['masks:given', 'state'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
    decision:
      'Three public implementations zero the momentum of dropped coordinates, one masks gradients. t is the number of gradients a tensor has received, not of updates a coordinate got.',
  },
  {
    id: 'LRD-MASK-005',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Mask bits of different coordinates, of one coordinate at different steps, of different tensors and of different seeds are independent.',
    locus: `${tnnls}, section III-B: "independently of other parameters"`,
    domain: 'p < 1',
    tolerance: falseAlarm('a correlation of .02 between neighbours, steps, tensors or seeds'),
    capability: ['masks:own'],
    reference: 'impl-ref/masks.ts#streamMask',
  },
  {
    id: 'LRD-MASK-006',
    level: 'MUST',
    binds: 'analysis',
    statement:
      'Of n coordinates a subset S is updated with probability p^|S| (1 - p)^(n - |S|): all 2^n are possible, and equally likely only at p = .5.',
    latex: 'P(S) = p^{|S|} (1-p)^{n-|S|}',
    locus: `${tnnls}, section III-B: "randomly sampling one from 2^n parameter subsets"; arXiv v1: "uniformly"`,
    domain: anyP,
    tolerance: falseAlarm('a subset probability off by .02, n = 3'),
    capability: ['masks:own'],
    reference: 'impl-ref/masks.ts#streamMask',
    decision:
      '"Uniformly" is false but for p = .5. The empty subset has probability (1 - p)^n: a quarter of the steps of the two-dimensional toy at p = .5 move nothing.',
  },
  {
    id: 'LRD-MASK-007',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "All parameters are masked, biases and normalisation parameters too, except those that the caller excludes; excluded ones take the base rule's step.",
    locus: `${tnnls}, Algorithm 1; the authors' code masks net.parameters()`,
    domain: 'parameter groups',
    tolerance: exact,
    capability: ['groups'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-MASK-008',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'With given masks the result does not depend on how parameters are split into tensors or ordered within them.',
    locus: `${tnnls}, Algorithm 1: all operations are elementwise`,
    domain: 'given masks, every rule',
    tolerance: exact,
    capability: ['masks:given'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-MASK-009',
    level: 'MUST',
    binds: 'analysis',
    statement:
      'The interval that contains a random step averages (2 - p)/p, not 1/p: long intervals contain more steps.',
    latex: 'E(\\lambda_{\\text{around a random step}}) = \\frac{2-p}{p}',
    locus: `${tnnls}, eq. (3), which does not say which interval it means`,
    domain: 'p < 1, away from both ends of the run',
    tolerance: falseAlarm('1/p in its place, p = .5 (2 instead of 3)'),
    capability: ['masks:own'],
    reference: 'impl-ref/analysis/intervals.ts#intervalAround',
    decision: 'Eq. (3) holds per interval and for the wait from a fixed step.',
  },
  {
    id: 'LRD-MASK-010',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Under a constant gradient the mean step of SGDM with learning rate dropout tends to p/(1 - beta) times alpha g.',
    latex: 'E(w_{t-1} - w_t) \\to \\frac{p}{1-\\beta}\\,\\alpha g',
    locus: 'follows from eqs. (1), (2) and Algorithm 1, line 12',
    domain: 'sgdm, constant gradient, t >> 1/(1 - beta)',
    tolerance: falseAlarm(
      'p/(1 - beta p), the step of an implementation that resets dropped momentum (5.5 times smaller at p = .5, beta = .9)',
    ),
    capability: ['masks:own'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
];

const stream: readonly Requirement[] = [
  {
    id: 'LRD-STREAM-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Words come from Philox4x32-10 with key (seed low, seed high) and counter (block low, block high, step, stream).',
    locus: 'Salmon et al. 2011; Random123 known-answer vectors',
    domain: 'seed in [0, 2^64), step in [1, 2^32) (0 for initialisation)',
    tolerance: exact,
    capability: ['masks:stream'],
    reference: 'impl-ref/philox.ts#philox4x32',
    decision:
      'The papers name no generator. A counter-based one makes the mask a function of (seed, step, index, p): never stored, the same on every device, and resumed for nothing.',
  },
  {
    id: 'LRD-STREAM-002',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Element n of the parameter list uses half n mod 8 of block floor(n / 8), halves counted word by word, the low half first.',
    latex:
      'n = \\mathrm{base}_k + i, \\quad \\mathrm{block} = \\lfloor n/8 \\rfloor, \\quad \\mathrm{half} = n \\bmod 8',
    locus: 'this specification',
    domain: 'n < 2^53',
    tolerance: exact,
    capability: ['masks:stream'],
    reference: 'impl-ref/stream.ts#halves',
  },
  {
    id: 'LRD-STREAM-003',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Tensors lie one after the other in order of joining, each starting at the next multiple of 64 elements: those of a list in its order, whoever comes later at the end. Excluded ones and those without a gradient keep their place, and nobody ever changes it.',
    latex:
      '\\mathrm{base}_0 = 0, \\qquad \\mathrm{base}_{k+1} = \\mathrm{base}_k + 64 \\lceil \\mathrm{size}_k / 64 \\rceil',
    locus: 'this specification',
    domain: 'every list of tensors, empty ones included',
    tolerance: exact,
    capability: ['masks:stream'],
    reference: 'impl-ref/stream.ts#layout',
  },
  {
    id: 'LRD-STREAM-004',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A coordinate is kept iff its half is below T, so the probability that holds is T / 2^16, within 2^-17 of p for p >= 2^-16, and it can be asked for.',
    latex: 'T = \\max(1, \\lfloor 2^{16} p + 1/2 \\rfloor), \\qquad d = [\\,\\mathrm{half} < T\\,]',
    locus: 'this specification',
    domain: anyP,
    tolerance: exact,
    capability: ['masks:stream'],
    reference: 'impl-ref/masks.ts#keepThreshold',
    decision:
      'Sixteen bits decide a Bernoulli draw; the generator is the larger part of a fused step, and two elements share a word. The laws of section III-C are tested for T / 2^16.',
  },
  {
    id: 'LRD-STREAM-005',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'The mask is a pure function of (seed, step, index, p): the order of calls, the shape of a tensor, a resumed run and the split into chunks do not change it.',
    locus: 'this specification',
    domain: 'every stream mask',
    tolerance: exact,
    capability: ['masks:stream'],
    reference: 'impl-ref/masks.ts#streamMask',
  },
  {
    id: 'LRD-STREAM-006',
    level: 'MUST',
    binds: 'implementation',
    statement: 'With one seed, what is kept at p is kept at every larger p.',
    latex: 'p \\le q \\implies d(p) \\le d(q)',
    locus: 'follows from LRD-STREAM-004',
    domain: 'same seed and step',
    tolerance: exact,
    capability: ['masks:stream'],
    reference: 'impl-ref/masks.ts#streamMask',
  },
  {
    id: 'LRD-STREAM-007',
    level: 'MUST',
    binds: 'package',
    statement: 'A uniform number is (word + 1/2) / 2^32, from word n mod 4 of block floor(n / 4); it is never 0 or 1.',
    latex: 'u_n = (\\mathrm{word}_n + \\tfrac12)\\, 2^{-32}',
    locus: 'this specification',
    domain: 'streams 3 to 8',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/draws.ts#uniforms',
  },
  {
    id: 'LRD-STREAM-008',
    level: 'MUST',
    binds: 'package',
    statement:
      'A standard normal number comes from a pair of uniforms by Box and Muller: elements 2j and 2j + 1 are the cosine and the sine of the pair at 2j, 2j + 1.',
    latex:
      'z_{2j} = \\sqrt{-2 \\ln u_{2j}} \\cos 2\\pi u_{2j+1}, \\qquad z_{2j+1} = \\sqrt{-2 \\ln u_{2j}} \\sin 2\\pi u_{2j+1}',
    locus: 'this specification; Box and Muller 1958',
    domain: 'stream 3 (gradient noise) and initialisers that ask for normal numbers',
    tolerance: {
      class: 'interval',
      derivation: 'log, cos and sin differ by an ulp between libraries: 4e-15 absolute in float64 (|z| < 6.8)',
    },
    capability: [],
    reference: 'impl-ref/draws.ts#normals',
  },
  {
    id: 'LRD-STREAM-009',
    level: 'MUST',
    binds: 'package',
    statement:
      'A permutation of n items is Fisher and Yates from the end: for i = n - 1 down to 1 swap i with floor(word_i (i + 1) / 2^32); the step word is the epoch, counted from 1.',
    latex: 'j_i = \\lfloor \\mathrm{word}_i\\,(i+1)\\, 2^{-32} \\rfloor',
    locus: 'this specification; Durstenfeld 1964',
    domain: 'stream 7, n <= 2^21 (a bias below 2^-11 of 1/n; the product is exact in float64 up to there)',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/draws.ts#permutation',
  },
  {
    id: 'LRD-STREAM-010',
    level: 'MUST',
    binds: 'package',
    statement:
      "Initial values use step word 0 and the parameters' own layout: element i of tensor k reads word base_k + i, uniform values in (-bound, bound) are bound (2u - 1).",
    latex: 'w = \\mathrm{bound}\\,(2u_n - 1)',
    locus: 'this specification',
    domain: 'stream 6',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/draws.ts#initialValues',
  },
  {
    id: 'LRD-STREAM-011',
    level: 'MUST',
    binds: 'package',
    statement:
      "Every other draw has its place too. Standard dropout: mask bits, layers laid out in the order in which a forward pass calls them. Noisy labels: example i of a mini-batch reads words 2i (u < r disturbs it) and 2i + 1 (class floor(word (C - 1) / 2^32), one more where that is not below the true class); both take the optimizer's step. Augmentation: example i of the data set reads block i, step the epoch, and floor(word k / 2^32) chooses among k.",
    locus: 'this specification',
    domain: 'streams 4, 5 and 8',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/comparators/noisyLabels.ts#noisyLabels',
    decision:
      'Everything random in a training run is a function of (seed, position), so that a resumed run is the same run.',
  },
];

const rules: readonly Requirement[] = [
  {
    id: 'LRD-RULE-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'SGDM: buf = g at the first gradient, then momentum buf + (1 - dampening) g; Nesterov steps along g + momentum buf; momentum 0 has no buffer and ignores dampening.',
    latex:
      'b_1 = g_1, \\quad b_t = \\mu b_{t-1} + (1-\\delta) g_t, \\quad \\Delta W_t = b_t \\text{ or } g_t + \\mu b_t',
    locus: `${tnnls}, eq. (1) with eta = 1; torch/optim/sgd.py`,
    domain: 'rule sgdm',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/sgdm.ts#sgdm',
    decision:
      "With M_0 = 0 and eta = 1 - dampening the first step would differ; PyTorch's first buffer is the bare gradient. The learning rate stands outside the buffer (Keras has it inside).",
  },
  {
    id: 'LRD-RULE-002',
    level: 'MUST',
    binds: 'implementation',
    statement: 'SGDM over the mean of the last k gradients, with zero history.',
    locus: `${tnnls}, eq. (10), Table VI`,
    domain: 'rule sgdm-avg',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/sgdmAvg.ts#sgdmAvg',
  },
  {
    id: 'LRD-RULE-003',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'RMSprop with epsilon outside or inside the root, optionally centered, optionally with momentum on the scaled gradient; a variance that rounding makes negative counts as 0.',
    latex:
      'v = \\rho v + (1-\\rho) g^2, \\quad r = \\frac{g}{\\sqrt{s}+\\epsilon} \\text{ or } \\frac{g}{\\sqrt{s+\\epsilon}}, \\quad s = v \\text{ or } \\max(v - \\bar g^2, 0)',
    locus: 'Tieleman and Hinton 2012; torch/optim/rmsprop.py',
    domain: 'rule rmsprop',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/rmsprop.ts#rmsprop',
    decision:
      "The authors' RMSprop leaves L2 out of the numerator and, with momentum, the mask out of the step. Both are bugs (LRD-DEC-006).",
  },
  {
    id: 'LRD-RULE-004',
    level: 'MUST',
    binds: 'implementation',
    statement: 'Adam with bias correction, epsilon added to the corrected root.',
    latex: '\\Delta W = \\frac{\\hat m}{\\sqrt{\\hat v} + \\epsilon}',
    locus: 'Kingma and Ba 2015, Algorithm 1',
    domain: 'rules adam and adamw, epsilonMode corrected',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/adam.ts#adam',
  },
  {
    id: 'LRD-RULE-005',
    level: 'MUST',
    binds: 'implementation',
    statement: 'Adam with epsilon added to the root before correction ("epsilon hat").',
    latex: '\\Delta W = \\frac{\\sqrt{1-\\beta_2^t}}{1-\\beta_1^t} \\cdot \\frac{m}{\\sqrt{v} + \\epsilon}',
    locus: "Kingma and Ba 2015, end of section 2; the authors' adam_lrd.py",
    domain: 'rules adam and adamw, epsilonMode hat',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/adam.ts#adam',
    decision:
      'Not the same algorithm where gradients are near epsilon: at t = 1, g = 1e-6 the step is .760 alpha instead of .990 alpha.',
  },
  {
    id: 'LRD-RULE-006',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'AMSGrad in three forms: the maximum of raw second moments corrected afterwards, of corrected ones, and without any correction. Where there is one, epsilonMode hat puts epsilon beside the root as it is before it: epsilon / sqrt(1 - beta2^t) in its place.',
    latex: 'v^{\\max}_t = \\max(v^{\\max}_{t-1}, v_t)',
    locus: 'Reddi et al. 2018, Algorithm 2; PyTorch; optax',
    domain: 'rule amsgrad, maxOf raw, corrected, uncorrected, epsilonMode corrected, hat',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/amsgrad.ts#amsgrad',
    decision: "The papers do not say which; PyTorch's is the default, being what their experiments could run.",
  },
  {
    id: 'LRD-RULE-007',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'RAdam rectifies from rho_t > 5 (torch), rho_t >= 5 (original) or rho_t > 4 (paper); before that it steps along mhat.',
    latex:
      'r_t = \\sqrt{\\frac{(\\rho_t-4)(\\rho_t-2)\\rho_\\infty}{(\\rho_\\infty-4)(\\rho_\\infty-2)\\rho_t}}, \\quad \\rho_t = \\rho_\\infty - \\frac{2t\\beta_2^t}{1-\\beta_2^t}',
    locus: 'Liu et al. 2020, Algorithm 2; torch/optim/radam.py; LiyuanLucasLiu/RAdam',
    domain: 'rule radam',
    tolerance: {
      class: 'interval',
      derivation:
        'float64: 1e-12 (|theta| + sum of |alpha deltaW|). rho_t subtracts 2 t beta2^t / (1 - beta2^t) of size about rho_inf: an ulp in pow becomes rho_inf / (rho_t - 4) ulps of r_t, 2000 at t = 6 and beta2 = .999',
    },
    capability: [],
    reference: 'impl-ref/rules/radam.ts#radam',
    decision:
      "Default learning rate .03 is TNNLS's (section IV-A), not RAdam's (1e-3). `original` keeps coupled L2, where its authors' code decouples it.",
  },
  {
    id: 'LRD-RULE-008',
    level: 'MUST',
    binds: 'implementation',
    statement: "AdamW: Adam's direction plus weightDecay theta, both times the learning rate.",
    latex: '\\Delta W = \\frac{\\hat m}{\\sqrt{\\hat v}+\\epsilon} + \\lambda\\, \\theta',
    locus: 'Loshchilov and Hutter 2019; torch/optim/adamw.py',
    domain: 'rule adamw',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/rules/adamw.ts#adamw',
  },
  {
    id: 'LRD-RULE-009',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "Without decay, scaling all gradients by c > 0 scales SGDM's steps by c and leaves those of the adaptive rules unchanged, up to epsilon.",
    latex:
      '\\Delta W(cG) = c\\,\\Delta W(G) \\text{ (sgdm, sgdm-avg)}, \\qquad \\Delta W(cG) = \\Delta W(G) \\text{ (adaptive, } \\epsilon \\to 0)',
    locus: 'Kingma and Ba 2015, section 2.1',
    domain:
      'weightDecay 0; adaptive rules in their rectified or corrected phase; c a power of 2; RAdam before rectification is linear in c',
    tolerance: {
      class: 'interval',
      derivation: 'exact for sgdm with c a power of 2; adaptive: relative epsilon / (sqrt(v) + epsilon) plus 1e-14',
    },
    capability: [],
    reference: 'impl-ref/rules/index.ts#BASE_RULES',
  },
  {
    id: 'LRD-RULE-010',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Coupled L2 is added to the gradient before the moments, also on steps in which the coordinate is dropped.',
    latex: 'g \\leftarrow g + \\lambda\\,\\theta',
    locus: "the authors' sgd_lrd.py and adam_lrd.py; the papers state only a weight decay of 5e-4",
    domain: 'every rule but adamw',
    tolerance: float64,
    capability: ['masks:given'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-RULE-011',
    level: 'MUST',
    binds: 'implementation',
    statement: 'Decoupled decay is part of the masked step: a dropped coordinate does not decay.',
    locus: `${tnnls}, section III-B: "a learning rate of 0 means not updating its value"`,
    domain: 'rule adamw',
    tolerance: exact,
    capability: ['masks:given'],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
    decision:
      'Decoupled decay carries the learning rate as a factor, and the learning rate is 0. DemonRanger decays dropped coordinates.',
  },
  {
    id: 'LRD-RULE-012',
    level: 'MUST',
    binds: 'implementation',
    statement: 'Hyper-parameters left out take the defaults of the table, a keep probability left out is .5 in an API.',
    locus: `${tnnls}, section IV-A; PyTorch for what it does not name`,
    domain: 'every rule',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/validate.ts#resolveHyper',
  },
];

const state: readonly Requirement[] = [
  {
    id: 'LRD-STATE-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A run that is saved after any step and resumed equals the run that was not, bit for bit, masks included.',
    locus: 'this specification',
    domain: 'every rule, every step',
    tolerance: exact,
    capability: ['resume'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-STATE-002',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "A parameter without a gradient in a step stands still: its value, moments, L2 and its own count of gradients; the mask's step is the optimizer's and goes on.",
    locus: 'the authors\' code: "if p.grad is None: continue"',
    domain: 'null gradients',
    tolerance: exact,
    capability: ['null-gradient'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
    decision:
      "The authors draw no mask for such a tensor, which shifts everybody else's draws; here each tensor keeps its place in the stream.",
  },
  {
    id: 'LRD-STATE-003',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Learning rate, keep probability and weight decay may change between steps, and only the steps after the change see it.',
    locus: `${tnnls}, sections IV-A.2 to IV-A.4 (learning rate schedules)`,
    domain: 'schedules',
    tolerance: exact,
    capability: ['schedule'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-STATE-004',
    level: 'MUST',
    binds: 'implementation',
    statement: "A parameter group's hyper-parameters and keep probability win over the optimizer's.",
    locus: "the authors' code: group['dropout']",
    domain: 'parameter groups',
    tolerance: exact,
    capability: ['groups'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-STATE-005',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "Started at a step above 1 with a state, each tensor has received firstStep - 1 gradients unless its counts say otherwise; without a state it starts afresh with count 0, and only the mask's step is firstStep.",
    locus: 'this specification',
    domain: 'firstStep in [1, 2^32)',
    tolerance: exact,
    capability: ['resume'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
];

const errors: readonly Requirement[] = [
  {
    id: 'LRD-ERROR-001',
    level: 'MUST',
    binds: 'implementation',
    statement: 'A keep probability outside [2^-16, 1], NaN included, is refused before anything moves.',
    locus: `${tnnls}, Algorithm 1 (p is a probability); p = 0 would never update`,
    domain: 'keepProbability',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/masks.ts#keepThreshold',
    decision:
      "The authors' default is 0 (a default-constructed optimizer never moves), and E(lambda) = 1/p is undefined there.",
  },
  {
    id: 'LRD-ERROR-002',
    level: 'MUST',
    binds: 'implementation',
    statement: 'A hyper-parameter outside its range, of the wrong type or unknown to the rule is refused.',
    locus: 'spec/rules.ts',
    domain: 'every rule',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/validate.ts#resolveHyper',
  },
  {
    id: 'LRD-ERROR-003',
    level: 'SHOULD',
    binds: 'implementation',
    statement:
      'An error is one line that names the argument, the rule and the value: "keepProbability must be in [2^-16, 1], got 1.5".',
    locus: 'this specification',
    domain: 'every error',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/validate.ts#checkNumber',
  },
  {
    id: 'LRD-ERROR-004',
    level: 'MUST',
    binds: 'implementation',
    statement: 'Gradients, masks and states whose sizes do not fit the parameters are refused.',
    locus: 'this specification',
    domain: 'every case',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-ERROR-005',
    level: 'MUST',
    binds: 'implementation',
    statement: 'A seed that is not a whole number in [0, 2^64) is refused.',
    locus: 'this specification',
    domain: 'seed',
    tolerance: exact,
    capability: ['masks:stream'],
    reference: 'impl-ref/seed.ts#parseSeed',
  },
];

const comparators: readonly Requirement[] = [
  {
    id: 'LRD-CMP-001',
    level: 'MUST',
    binds: 'package',
    statement:
      'Order within a step: gradient, clipping, dropout on gradients or gradient noise or Sparse Gradients, plus coupled L2, gradient centralization, moments, mask, step.',
    locus: 'the papers do not say; centralization after L2 as in Yonghongwei/Gradient-Centralization',
    domain: 'every combination',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-CMP-002',
    level: 'MUST',
    binds: 'package',
    statement:
      'Dropout on gradients (DG) multiplies the data gradient by Bernoulli(p) before L2 and the moments, without 1/p.',
    latex: 'g \\leftarrow d \\circ g',
    locus: 'arXiv v1, section 4.6',
    domain: 'p in [2^-16, 1], default .5; stream 1',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/comparators/gradientDropout.ts#gradientDropout',
    decision:
      'arXiv v1 does not say whether L2 is masked too; here only the data gradient is, as L2 is not a gradient of the loss f_t.',
  },
  {
    id: 'LRD-CMP-003',
    level: 'MUST',
    binds: 'package',
    statement: 'Gradient noise (NG) adds normal noise of variance eta / (1 + t)^gamma, t from 0.',
    latex: 'g \\leftarrow g + N(0, \\sigma_t^2), \\qquad \\sigma_t^2 = \\frac{\\eta}{(1+t)^{\\gamma}}',
    locus: 'Neelakantan et al. 2015, section 3; arXiv v1, section 4.5: "n ~ N(0, 0.1)"',
    domain: 'eta = .1, gamma = .55 by default; stream 3',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/comparators/gradientNoise.ts#gradientNoise',
    decision: ".1 is read as the variance at t = 0; it is none of Neelakantan's three values of eta.",
  },
  {
    id: 'LRD-CMP-004',
    level: 'MUST',
    binds: 'package',
    statement:
      'Gradient centralization (GC) subtracts from the gradient of a tensor of two or more axes its mean over all axes but the last.',
    latex: 'g \\leftarrow g - \\mathrm{mean}_{\\text{all axes but the last}}(g)',
    locus: `${tnnls}, Table II; Yong et al. 2020, eq. (1)`,
    domain: 'JS layouts (output axis last); tensors of rank below 2 unchanged',
    tolerance: { class: 'interval', derivation: 'the mean of n numbers rounds at most n times' },
    capability: [],
    reference: 'impl-ref/comparators/gradientCentralization.ts#gradientCentralization',
  },
  {
    id: 'LRD-CMP-005',
    level: 'MUST',
    binds: 'package',
    statement:
      'Noisy labels (NL): with probability r a label becomes one of the C - 1 others, uniformly, drawn anew for each mini-batch.',
    latex: 'P(\\tilde y = c) = \\frac{r}{C-1}, \\quad c \\ne y',
    locus: `${tnnls}, section IV-D: r = .1; arXiv v1: r = .05`,
    domain: 'r in [0, 1], C >= 2; stream 5',
    tolerance: falseAlarm("DisturbLabel's form, which may draw the true label again (r(C-1)/C instead of r)"),
    capability: [],
    reference: 'impl-ref/comparators/noisyLabels.ts#noisyLabels',
  },
  {
    id: 'LRD-CMP-006',
    level: 'MUST',
    binds: 'package',
    statement:
      'Standard dropout (SD) is inverted: a unit is kept with probability .9 and divided by it in training, and untouched in evaluation.',
    locus: `${tnnls}, Table II; Srivastava et al. 2014`,
    domain: 'retain probability in [2^-16, 1]; stream 4',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/comparators/standardDropout.ts#standardDropout',
  },
  {
    id: 'LRD-CMP-007',
    level: 'MUST',
    binds: 'package',
    statement:
      'Sparse Gradients hold one mask while the extent of sparsity stays, and draw another only when it changes; extent 0 draws nothing.',
    locus:
      'Adapting Regularization with Learning Rate, section 2.2: "we resample the sparsity pattern only when changing the extent of sparsity"',
    domain: 'sparsity in [0, 1); stream 2; readings: gradients masked, updates masked',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/comparators/sparseGradients.ts#sparseGradients',
    decision:
      'Bernoulli or exact count is not said: Bernoulli per element, as learning rate dropout. The step at which the extent last changed is part of the state. The two readings agree for plain SGD and differ with momentum or coupled L2.',
  },
  {
    id: 'LRD-CMP-008',
    level: 'MUST',
    binds: 'package',
    statement:
      'The schedules 01, 02, 21, 22, 23 give weight decay and sparsity of every epoch 1 to 450 as Table 1 does.',
    locus: 'Adapting Regularization with Learning Rate, Table 1',
    domain: 'epochs 1 to 450',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/schedules/taper.ts#taper',
    decision:
      'The text speaks of "a weight decay of 8e-3 at various stages"; Table 1 peaks at 1.6e-3 and 8e-4. The table holds.',
  },
  {
    id: 'LRD-CMP-009',
    level: 'MUST',
    binds: 'package',
    statement:
      'What happens to a gradient has the same outcome on every backend: a NaN stays one, infinities and NaN make a norm that is none, and norms neither overflow nor underflow where the gradients themselves do not.',
    locus: 'this specification; the papers have finite gradients only',
    domain: 'every combination of LRD-CMP-001; NaN, infinities, numbers up to 1e37, subnormals',
    tolerance: { class: 'interval', derivation: 'float32 beside the reference in float64; subnormals may be flushed' },
    capability: [],
    reference: 'impl-ref/comparators/clipping.ts#clipByGlobalNorm',
  },
];

const schedules: readonly Requirement[] = [
  {
    id: 'LRD-SCHED-001',
    level: 'MUST',
    binds: 'package',
    statement:
      'Milestones: the learning rate is multiplied by gamma after each milestone epoch; "reduced at the 100th epoch" means epochs 1 to 100 at the first rate.',
    latex: '\\alpha_e = \\alpha_1 \\gamma^{|\\{m : m < e\\}|}',
    locus: `${tnnls}, section IV-A.2 to 4`,
    domain: 'epochs counted from 1',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/schedules/learningRate.ts#milestones',
    decision:
      "The authors' code calls scheduler.step() at the start of an epoch, so epoch 100 already runs at the second rate: an option, `early`.",
  },
  {
    id: 'LRD-SCHED-002',
    level: 'MUST',
    binds: 'package',
    statement:
      'Stepwise exponential annealing with warm restarts: five rates .1 to 1e-5, 50 epochs each, then twice more with 20 epochs each.',
    locus: 'Adapting Regularization with Learning Rate, section 3 and Table 1',
    domain: 'epochs 1 to 450',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/schedules/learningRate.ts#annealingWithRestarts',
  },
  {
    id: 'LRD-SCHED-003',
    level: 'MUST',
    binds: 'package',
    statement: 'Polynomial decay: the base rate times (1 - iteration / total)^power, iteration counted from 0.',
    latex: '\\alpha_i = \\alpha_0 \\left(1 - \\frac{i}{N}\\right)^{q}',
    locus: 'Zhao et al. 2017 (PSPNet), section 5.1: power .9',
    domain: '0 <= i <= N',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/schedules/learningRate.ts#polynomialDecay',
  },
  {
    id: 'LRD-SCHED-004',
    level: 'MUST',
    binds: 'package',
    statement: 'The keep probability may follow the step or the learning rate.',
    locus: 'Adapting Regularization with Learning Rate, section 1 (more regularization as the rate falls)',
    domain: 'values in [2^-16, 1]',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/schedules/keepProbability.ts#followLearningRate',
  },
  {
    id: 'LRD-SCHED-005',
    level: 'MUST',
    binds: 'package',
    statement:
      'Gradients are clipped by value, by the norm of each tensor or by their global norm over all tensors, in this order, before anything else touches them. A norm neither overflows nor underflows where the clipped gradient does not; with a NaN among the elements all become NaN, with an infinity the finite ones 0 and that NaN.',
    latex: 'g \\leftarrow g \\min(1, c / \\lVert g \\rVert_2)',
    locus: 'Pascanu et al. 2013, Algorithm 1',
    domain: 'limits above 0; null gradients do not count',
    tolerance: { class: 'interval', derivation: 'the sum of n squares rounds n times: relative n 2^-53' },
    capability: [],
    reference: 'impl-ref/comparators/clipping.ts#clipByGlobalNorm',
  },
  {
    id: 'LRD-SCHED-006',
    level: 'MUST',
    binds: 'package',
    statement: 'Accumulated micro-batches make one step with their mean gradient and one mask.',
    locus: 'this specification',
    domain: 'one or more micro-batches',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/accumulation.ts#meanGradients',
  },
];

/** Where the papers leave something open or get it wrong, and no requirement above says so yet. */
const decisions: readonly Requirement[] = [
  {
    id: 'LRD-DEC-001',
    level: 'MUST',
    binds: 'analysis',
    statement: 'Not every update decreases the loss: with momentum a step may increase it, whatever the mask.',
    locus: 'arXiv v1, section 3.2: "each update of LRD will still cause a decrease in the loss function"',
    domain: 'sgdm with momentum, or any adaptive rule',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
    decision: 'False; TNNLS dropped it. It holds to first order for plain SGD (LRD-DEC-002).',
  },
  {
    id: 'LRD-DEC-002',
    level: 'MUST',
    binds: 'analysis',
    statement:
      'For plain SGD every masked step is a descent direction: the directional derivative of the loss is not positive.',
    latex: '\\langle \\nabla f, -\\alpha D \\circ \\nabla f \\rangle = -\\alpha \\sum_i d_i g_i^2 \\le 0',
    locus: 'arXiv v1, section 3.2',
    domain: 'sgdm with momentum 0 and weightDecay 0',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
  {
    id: 'LRD-DEC-003',
    level: 'MUST',
    binds: 'implementation',
    statement: 'RAdam is masked in its first, unrectified steps too.',
    locus: `${tnnls}, Algorithm 1, line 12`,
    domain: 'rule radam, t <= 5',
    tolerance: exact,
    capability: ['masks:given'],
    reference: 'impl-ref/rules/radam.ts#radam',
    decision: 'A public implementation (DemonRanger) leaves the mask out while rho_t < 5.',
  },
  {
    id: 'LRD-DEC-004',
    level: 'MUST',
    binds: 'analysis',
    statement:
      "By largest eigenvalue, trace and determinant of the Hessian the toy's better minimum is the sharper one.",
    locus: `${tnnls}, Fig. 3: "a better and flatter minimum"`,
    domain: 'eq. (9)',
    tolerance: { class: 'interval', derivation: 'eigenvalues to .5%: 125 against 52' },
    capability: [],
    reference: 'impl-ref/toy/surface.ts#hessian',
    decision: 'The caption is wrong. The loss is lower there (.054 against .275), the curvature higher.',
  },
  {
    id: 'LRD-DEC-005',
    level: 'MUST',
    binds: 'analysis',
    statement:
      "Started at the toy's local minimum, Adam with learning rate dropout stays there: with an exact gradient a mask cannot leave a stationary point at rest.",
    locus: `${tnnls}, section III-D: "Even if the optimizer reaches a local minimum, it tends to search for other better and flatter minima"`,
    domain: 'eq. (9), exact gradient, zero state, alpha <= .01',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/toy/descent.ts#descend',
    decision: 'Not reproduced. Masks change the path to a minimum, not the rest at one.',
  },
  {
    id: 'LRD-DEC-006',
    level: 'MUST',
    binds: 'package',
    statement:
      "The set authors-2019 reproduces the authors' published code, bugs labelled: RMSprop without L2 in the numerator, RMSprop with momentum unmasked, ignored Nesterov, keep probability 0 by default.",
    locus: 'HuangxingLin123/Learning-Rate-Dropout, cifar10/*.py at c64ac01',
    domain: 'sgdm, adam, rmsprop',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/authors2019/authors2019.ts#authors2019',
    decision:
      'Kept apart from the rules, so that Table I can be explained: its largest gain (RMSprop) compares L2 with no L2.',
  },
  {
    id: 'LRD-DEC-007',
    level: 'MUST',
    binds: 'package',
    statement:
      'Noise and regularization arms that the papers lack exist: p = 1 with the learning rate scaled by p, and RMSprop with and without coupled L2.',
    locus: "research on the papers' confounds",
    domain: 'experiments',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/comparators/controlArms.ts#scaledLearningRate',
    decision: 'Without 1/p the mean step is p times as long; a gain may be the gain of a smaller step.',
  },
  {
    id: 'LRD-DEC-008',
    level: 'SHOULD',
    binds: 'implementation',
    statement:
      'An implementation does not store the mask, nor a second copy of the parameters, for the duration of a step.',
    locus: `${tnnls}, section IV-A.6: "negligible" cost, 31.3 s to 32.5 s an epoch`,
    domain: 'engines',
    tolerance: exact,
    capability: [],
    decision:
      "Users of a public deployment report +34% time and one more model size of memory. Judged by benchmarks, not by this registry's tests.",
  },
  {
    id: 'LRD-DEC-009',
    level: 'SHOULD',
    binds: 'package',
    statement: 'Reported accuracies say which epoch they are of (last, or best on which set) and over how many trials.',
    locus: `${tnnls}, Table I (unstated); the authors' code selects the best on the test set`,
    domain: 'reports',
    tolerance: exact,
    capability: [],
    decision: "Five numbers of TNNLS Table I repeat arXiv v1's exactly; what was run again is not said.",
  },
  {
    id: 'LRD-DEC-010',
    level: 'SHOULD',
    binds: 'package',
    statement: "p is recommended in .3 to .7; the API's default is .5.",
    locus: `${tnnls}, section IV-E.1 and Table III`,
    domain: 'advice',
    tolerance: exact,
    capability: [],
    decision:
      'The text says that almost all p improve the accuracy; by Table III p = .1 loses with SGDM (94.37 against 95.25).',
  },
  {
    id: 'LRD-DEC-011',
    level: 'SHOULD',
    binds: 'package',
    statement: 'The MNIST recipe uses no weight decay and a constant learning rate.',
    locus: `${tnnls}, section IV-A.1: "a decay scheme is not used"`,
    domain: 'recipe fcnet',
    tolerance: exact,
    capability: [],
    decision:
      'Weight decay is stated (5e-4) for CIFAR, Tiny ImageNet and ImageNet, not for MNIST. The sentence on decay is about the learning rate; 0 is the value that assumes least.',
  },
  {
    id: 'LRD-DEC-012',
    level: 'SHOULD',
    binds: 'package',
    statement: 'Training loss and accuracy are sample-weighted running means over the epoch, in training mode.',
    locus: "the authors' main.py and plot.py, which sum the loss over batches",
    domain: 'reports',
    tolerance: exact,
    capability: [],
    decision:
      'The papers plot a "training loss" that is a sum over 391 batches (649 falls to .46); divided by the number of batches it is a mean that the last, smaller batch distorts.',
  },
];

const trained: readonly Requirement[] = [
  {
    id: 'LRD-TRAIN-001',
    level: 'MUST',
    binds: 'package',
    statement:
      'The expected parameters are linear in p, so the derivative of the expected parameters by p is -alpha deltaW, exactly.',
    latex: '\\frac{\\partial}{\\partial p} E(W_t) = -\\alpha\\, \\Delta W_t',
    locus: `${tnnls}, section IV-F: "set p as a trainable parameter"`,
    domain: 'given W_{t-1} and deltaW',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/trainedKeepProbability.ts#keepProbabilityGradient',
    decision: 'The papers give no method. Experimental.',
  },
  {
    id: 'LRD-TRAIN-002',
    level: 'MUST',
    binds: 'package',
    statement:
      '-alpha <g_next, deltaW> is a first-order, one-step estimate of the derivative of the next expected loss by p. On a quadratic the derivative exceeds its expectation by alpha^2 (1 - 2p)/2 sum H_ii deltaW_i^2: no bias at p = .5 or without curvature.',
    latex:
      '\\frac{d}{dp} E f(W_t) = E\\big[-\\alpha \\langle \\nabla f(W_t), \\Delta W_t \\rangle\\big] + \\frac{\\alpha^2 (1-2p)}{2} \\sum_i H_{ii} \\Delta W_i^2',
    locus: 'this specification',
    domain: 'quadratic loss, exact expectation over masks',
    tolerance: { class: 'interval', derivation: 'sum over all 2^n masks, relative 1e-12' },
    capability: [],
    reference: 'impl-ref/trainedKeepProbability.ts#keepProbabilityGradient',
  },
  {
    id: 'LRD-TRAIN-003',
    level: 'MUST',
    binds: 'package',
    statement:
      'The trained p stays inside its bounds, is part of the saved state, and moves in the right direction where that is known: up on a slope, down where full steps overshoot.',
    locus: 'this specification',
    domain: 'scope global or per group; sign descent or ascent',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/trainedKeepProbability.ts#trainKeepProbability',
  },
];

/** One model trained by N processes, each on its share of every batch. */
const distributed: readonly Requirement[] = [
  {
    id: 'LRD-DIST-001',
    level: 'MUST',
    binds: 'package',
    statement:
      'N replicas, each with its share of a batch, make the step that one process makes on the whole batch: the gradient is the mean weighted by the shares.',
    latex: 'G_t = \\sum_{r=1}^{N} w_r G_t^{(r)}, \\qquad w_r = n_r / \\sum_s n_s',
    locus: 'this specification',
    domain: 'every rule, N >= 1, uneven shares and shares of 0 rows included',
    tolerance: {
      class: 'interval',
      derivation:
        "equal but for rounding. float64: 1e-12 of the largest number of the run, over 6 steps of fewer than 45 roundings of 2^-53. float32: the interval of the true step from the replicas' own shares, each operation widened by its error, and N - 1 additions in any order.",
    },
    capability: [],
    reference: 'impl-ref/replicas.ts#createReplicas',
    decision:
      'Batch normalisation in training mode sees the rows of one replica, as in other frameworks: there the whole batch is not the sum of its shares.',
  },
  {
    id: 'LRD-DIST-002',
    level: 'MUST',
    binds: 'package',
    statement:
      "Masks are never sent: each replica draws the step's mask from the stream, and all replicas hold the same parameter bits after every step.",
    locus: 'this specification',
    domain: 'stream masks',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/replicas.ts#createReplicas',
  },
  {
    id: 'LRD-DIST-003',
    level: 'MUST',
    binds: 'package',
    statement:
      'Where the state is linear in the gradient, each replica accumulates its weighted share of gradient and L2, so that the buffers sum to the momentum, and only the kept coordinates of the step direction are reduced.',
    latex:
      'B_t^{(r)} = \\mu B_{t-1}^{(r)} + (1 - \\delta)\\, w_{r,t} (G_t^{(r)} + \\lambda W_{t-1}), \\qquad W_t = W_{t-1} - \\alpha D_t \\circ \\sum_r \\Delta W_t^{(r)}',
    locus: 'this specification; eq. (10) likewise',
    domain:
      'sgdm with dampening, Nesterov, coupled L2 and schedules of all of them; sgdm-avg; dropout on gradients, gradient noise, Sparse Gradients and centralization before it',
    tolerance: {
      class: 'interval',
      derivation: 'as LRD-DIST-001',
    },
    capability: [],
    reference: 'impl-ref/replicas.ts#createReplicas',
    decision:
      "The weight stands inside the buffer. Outside, at the reduction, a later batch's shares would weigh earlier gradients: wrong wherever shares change.",
  },
  {
    id: 'LRD-DIST-004',
    level: 'MUST',
    binds: 'package',
    statement:
      'A tensor with a gradient on any replica has one, possibly zero, on all: its first step, its count and its L2 are those of one process.',
    locus: 'this specification',
    domain: 'null gradients',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/replicas.ts#createReplicas',
  },
  {
    id: 'LRD-DIST-005',
    level: 'MUST',
    binds: 'package',
    statement:
      'With the reduction of kept coordinates a replica sends one number for each kept coordinate and for each coordinate of an excluded tensor, in the order of the stream, and no index.',
    locus: 'this specification',
    domain: 'LRD-DIST-003',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/replicas.ts#createReplicas',
  },
  {
    id: 'LRD-DIST-006',
    level: 'MUST',
    binds: 'package',
    statement:
      'With a second moment, any clipping, a trained keep probability, or a mask that depends on the gradient, the whole gradient is reduced, and the run says so.',
    locus: 'this specification',
    domain: 'rmsprop, adam, amsgrad, radam, adamw; clipping; LRD-TRAIN-003',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/replicas.ts#keptObstacle',
    decision: 'Each of them is a function of the whole mean gradient that is not linear in its shares.',
  },
  {
    id: 'LRD-DIST-007',
    level: 'MUST',
    binds: 'package',
    statement: 'Gradient noise is added once to the mean gradient, not once a replica.',
    locus: 'this specification',
    domain: 'comparator NG',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/replicas.ts#createReplicas',
    decision: 'All replicas draw the same noise from the stream, and their weights sum to 1.',
  },
  {
    id: 'LRD-DIST-008',
    level: 'MUST',
    binds: 'package',
    statement:
      "A saved run holds every replica's share of the state: as many replicas resume to the same bits, another number takes up the sum and equals the run but for rounding.",
    locus: 'this specification',
    domain: 'LRD-DIST-003',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/replicas.ts#createReplicas',
  },
  {
    id: 'LRD-DIST-009',
    level: 'MUST',
    binds: 'package',
    statement:
      "A replica's share of a batch is a function of seed, epoch, position, rank and size: neighbouring rows, as many as the others' or one more, and the shares in the order of ranks are the batch of one process.",
    latex: '\\{\\lfloor n r / N \\rfloor, \\dots, \\lfloor n (r + 1) / N \\rfloor - 1\\}, \\qquad 0 \\le r < N',
    locus: 'this specification',
    domain: 'training and test batches of n >= 0 rows, N >= 1; n < N leaves some replicas without rows',
    tolerance: exact,
    capability: [],
  },
  {
    id: 'LRD-DIST-010',
    level: 'MUST',
    binds: 'package',
    statement:
      "Noisy labels and standard dropout are drawn by a row's place in the whole batch and augmentation by the example, whichever replica has it.",
    locus: 'this specification',
    domain: 'LRD-DIST-009',
    tolerance: exact,
    capability: [],
    decision:
      'A draw by the place in the share would make the training depend on the number of replicas, and give the same draws to rows of different replicas.',
  },
];

/** What an implementation says to the conformance kit, and how far many steps may drift. */
const protocol: readonly Requirement[] = [
  {
    id: 'LRD-NUM-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Rounding does not build up beyond what each operation may do: after many steps a parameter still lies in the interval that was carried from the first.',
    locus: 'this specification',
    domain: 'given gradients, 50 steps',
    tolerance: {
      class: 'interval',
      derivation:
        'the intervals of the single steps composed: parameters and state are carried as intervals, never reset',
    },
    capability: [],
  },
  {
    id: 'LRD-PROTO-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "Answers follow the protocol's schemas, one a line, in time; NaN, the infinities and -0 are strings, and nothing else is written to stdout.",
    locus: 'this specification, conformance protocol version 1',
    domain: 'outside implementations',
    tolerance: exact,
    capability: [],
  },
  {
    id: 'LRD-PROTO-002',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A reported mask is the one that was used: what is reported kept moves, what is reported dropped does not.',
    locus: 'this specification, conformance protocol version 1',
    domain: 'implementations that report masks',
    tolerance: exact,
    capability: [],
  },
];

/** SkipUpdate, Magma and Cautious: the other cells of granularity x draw x factor. */
const family: readonly Requirement[] = [
  {
    id: 'LRD-FAM-001',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A masked update is a selection: a kept coordinate moves by alpha s deltaW with one factor s a tensor, a dropped one keeps its bits.',
    latex:
      '\\theta_i \\leftarrow \\begin{cases} \\theta_i - \\alpha\\, s\\, \\Delta W_i, & d_i = 1 \\\\ \\theta_i, & d_i = 0 \\end{cases}',
    locus: 'this specification; arXiv 2602.15322, Algorithm 1; arXiv 2411.16085, Algorithm 1; TNNLS 2022, Algorithm 1',
    domain: 'every kind of mask; with `decay: plain` a dropped coordinate still decays',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/family/maskedUpdate.ts#maskedUpdate',
  },
  {
    id: 'LRD-FAM-002',
    level: 'MUST',
    binds: 'implementation',
    statement: 'Moments, step count and bias correction see neither mask nor factor: they are those of the base rule.',
    locus: 'arXiv 2602.15322, Algorithm 1: "dense" moments; arXiv 2411.16085, Algorithm 1',
    domain: 'every kind of mask and every rule with state',
    tolerance: exact,
    capability: ['state'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-FAM-003',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "A tensor is kept iff one half is below T: in stream 9, the half at the index of the tensor's first element. One draw a tensor and step, independent of all other draws.",
    latex: 'z^{(b)} = [\\mathrm{half}_9(\\mathrm{base}_b) < T], \\qquad P(z^{(b)} = 1) = T / 2^{16}',
    locus: "arXiv 2602.15322, Algorithm 1: one Bernoulli draw a block and step; the stream is this specification's",
    domain: `granularity tensor, ${anyP}; p = 1 draws nothing`,
    tolerance: exact,
    capability: ['masks:stream', 'kinds:skip-update'],
    reference: 'impl-ref/family/tensorMask.ts#tensorMask',
    decision:
      'A block is a tensor: the paper says "the natural blocks of the network", and every public implementation takes tensors.',
  },
  {
    id: 'LRD-FAM-004',
    level: 'MUST',
    binds: 'implementation',
    statement: 'SkipUpdate multiplies a kept update by 1/p: by 65536/T, the inverse of the probability that holds.',
    latex: '\\theta^{(b)} \\leftarrow \\theta^{(b)} - \\tfrac{1}{p}\\, z^{(b)} \\Delta^{(b)}',
    locus: 'arXiv 2602.15322, Algorithm 1 (SkipUpdate)',
    domain: anyP,
    tolerance: float64,
    capability: ['kinds:skip-update'],
    reference: 'impl-ref/family/skipUpdate.ts#skipUpdate',
    decision: 'With T the factor makes the step exactly unbiased; 1/p itself differs from it by less than 2^-17 / p.',
  },
  {
    id: 'LRD-FAM-005',
    level: 'MUST',
    binds: 'analysis',
    statement:
      'SkipUpdate is unbiased, and on a quadratic its expected loss exceeds that of the whole step by a penalty on the curvature within blocks.',
    latex:
      'E f(\\theta - \\tfrac{1}{p} z \\circ \\Delta) = f(\\theta - \\Delta) + \\frac{1-p}{2p} \\sum_b \\Delta_b^\\top H_{bb} \\Delta_b',
    locus: 'arXiv 2602.15322, Proposition 1 (there to second order)',
    domain: 'quadratic loss, exact expectation over masks',
    tolerance: { class: 'interval', derivation: 'sum over all 2^B masks, relative 1e-12' },
    capability: [],
    reference: 'impl-ref/family/skipUpdate.ts#skipUpdate',
  },
  {
    id: 'LRD-FAM-006',
    level: 'MUST',
    binds: 'analysis',
    statement:
      'LRD has no 1/p: its expected step is p deltaW, and on a quadratic its expected loss exceeds that of the step by p deltaW by a penalty on the diagonal of the curvature.',
    latex: 'E f(\\theta - d \\circ \\Delta) = f(\\theta - p \\Delta) + \\frac{p(1-p)}{2} \\sum_i H_{ii} \\Delta_i^2',
    locus: 'this specification, after arXiv 2602.15322, Proposition 1',
    domain: 'quadratic loss, exact expectation over masks',
    tolerance: { class: 'interval', derivation: 'sum over all 2^n masks, relative 1e-12' },
    capability: [],
    reference: 'impl-ref/learningRateDropout.ts#learningRateDropout',
  },
  {
    id: 'LRD-FAM-007',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "Magma multiplies a kept update by its tensor's alignment: the smoothed sigmoid of the cosine between first moment and gradient over the temperature. There is no 1/p.",
    latex:
      '\\tilde s_t = \\sigma\\!\\left(\\frac{\\cos(m^{(b)}, g^{(b)})}{\\tau}\\right), \\quad s_t = \\beta s_{t-1} + (1 - \\beta) \\tilde s_t, \\quad \\theta^{(b)} \\leftarrow \\theta^{(b)} - s_t z^{(b)} \\Delta^{(b)}',
    locus: 'arXiv 2602.15322, Algorithm 1 (Magma)',
    domain: 'temperature > 0, smoothing in [0, 1)',
    tolerance: {
      class: 'interval',
      derivation:
        "the three sums m.g, m.m and g.g may be taken in any order: each is known within gamma_n times the sum of its absolute terms, n the tensor's size and the unit roundoff that of the precision; cosine, sigmoid and smoothing are then composed as intervals",
    },
    capability: ['kinds:magma'],
    reference: 'impl-ref/family/magma.ts#magma',
    decision:
      "Where the cosine's vectors come from and what a zero vector gives are options (`moment`, `momentTime`, `cosineEpsilon`): public implementations differ. g is the gradient that the moments see, coupled L2 included. Wrappers around an optimizer see it before L2: a judge takes either.",
  },
  {
    id: 'LRD-FAM-008',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'The alignment is smoothed at every step with a gradient, kept or dropped. It is the one number that Magma stores for a tensor.',
    locus: 'arXiv 2602.15322, Algorithm 1: s_t is computed before z_t',
    domain: 'state `alignment`, one value a tensor',
    tolerance: { class: 'interval', derivation: 'as LRD-FAM-007' },
    capability: ['kinds:magma', 'state'],
    reference: 'impl-ref/family/magma.ts#magma',
    decision: 'The first value is not in the paper: option `firstAlignment`, s_0 = 1/2, s_0 = 1, or s_1 = s~_1.',
  },
  {
    id: 'LRD-FAM-009',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'A base rule without a first moment lends none: Magma then keeps one of its own, mu_t = momentDecay mu_{t-1} + (1 - momentDecay) g_t.',
    latex: '\\mu_t = \\beta \\mu_{t-1} + (1 - \\beta) g_t, \\quad \\mu_0 = 0',
    locus: 'arXiv 2602.15322, section on RMSprop; magma-optimizer 0.1.1 keeps one beside every rule',
    domain: 'rmsprop, sgdm with momentum 0; any rule with `moment: own`',
    tolerance: float64,
    capability: ['kinds:magma', 'state'],
    reference: 'impl-ref/family/magma.ts#magma',
  },
  {
    id: 'LRD-FAM-010',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Cautious keeps a coordinate iff its step direction and its gradient have the same sign, neither of them zero. Nothing is drawn.',
    latex: 'd_i = [\\, u_i g_i > 0 \\,]',
    locus: 'arXiv 2411.16085, Algorithm 1',
    domain: 'u the direction deltaW before decoupled decay, g the gradient that the moments see',
    tolerance: {
      class: 'interval',
      derivation:
        'exact wherever the intervals of u and g decide their signs; either answer where rounding can turn one',
    },
    capability: ['kinds:cautious'],
    reference: 'impl-ref/family/cautious.ts#cautious',
    decision:
      "Signs, not the product: u g underflows to 0 for numbers that agree. The sign of an adaptive rule's u is that of its numerator.",
  },
  {
    id: 'LRD-FAM-011',
    level: 'MUST',
    binds: 'implementation',
    statement: 'Cautious multiplies the kept updates of a tensor by the inverse of the share that is kept.',
    latex: 's = 1 / \\max(\\mathrm{mean}(d), \\epsilon) \\quad \\text{or} \\quad s = n / (\\textstyle\\sum_i d_i + 1)',
    locus: "arXiv 2411.16085, Algorithm 1 and the authors' C-Optim",
    domain: 'per tensor; `normalization: mean` with `meanFloor` 1e-3, or `count`',
    tolerance: float64,
    capability: ['kinds:cautious'],
    reference: 'impl-ref/family/cautious.ts#cautious',
  },
  {
    id: 'LRD-FAM-012',
    level: 'MUST',
    binds: 'implementation',
    statement: 'With p = 1 SkipUpdate is the base rule, bit for bit.',
    locus: 'this specification: T = 65536 gives the factor 1',
    domain: 'skip-update, and lrd with factor inverse',
    tolerance: exact,
    capability: ['kinds:skip-update', 'base'],
    reference: 'impl-ref/family/skipUpdate.ts#skipUpdate',
  },
  {
    id: 'LRD-FAM-013',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "An excluded tensor takes the base rule's step: no draw, no factor, no state of the mask. It keeps its place in the stream.",
    locus: 'arXiv 2602.15322, appendix: embeddings, heads and normalization are left to the plain rule',
    domain: 'every kind of mask',
    tolerance: exact,
    capability: ['groups'],
    reference: 'impl-ref/optimizer.ts#createOptimizer',
  },
  {
    id: 'LRD-FAM-014',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Decoupled decay under a mask is one of three: part of the step (masked and multiplied by s), masked but not multiplied, or neither.',
    latex:
      '\\text{scaled: } d\\, s\\,\\alpha(\\Delta W + \\lambda\\theta), \\quad \\text{masked: } d\\,\\alpha(s \\Delta W + \\lambda\\theta), \\quad \\text{plain: } \\alpha(d\\, s \\Delta W + \\lambda\\theta)',
    locus: 'wrappers of arXiv 2602.15322 (scaled); arXiv 2411.16085, Algorithm 2 (plain)',
    domain: 'adamw',
    tolerance: float64,
    capability: [],
    reference: 'impl-ref/family/maskedUpdate.ts#maskedUpdate',
    decision:
      'Sources differ, so it is the option `decay`: scaled unless asked for Bernoulli masks (LRD-RULE-011 with s = 1), plain for Cautious.',
  },
  {
    id: 'LRD-FAM-015',
    level: 'MUST',
    binds: 'implementation',
    statement:
      "A mask's option with a kind that has no use for it, a value outside its range, and a keep probability with Cautious are refused as invalid arguments, by name.",
    locus: 'this specification',
    domain: 'options of `spec/family.ts`',
    tolerance: exact,
    capability: [],
    reference: 'impl-ref/family/resolveMask.ts#resolveMask',
  },
  {
    id: 'LRD-FAM-016',
    level: 'MUST',
    binds: 'implementation',
    statement:
      'Whatever a tensor is drawn from, it is kept with probability p, independently of other tensors and of other steps.',
    latex: 'z_t^{(b)} \\sim \\mathrm{Bernoulli}(p)',
    locus: 'arXiv 2602.15322, Algorithm 1',
    domain: `granularity tensor, ${anyP}`,
    tolerance: falseAlarm(
      'a keep rate off by .06, or neighbours that are kept together with a correlation of .12, at p = .5',
    ),
    capability: ['masks:own', 'kinds:skip-update'],
    reference: 'impl-ref/family/tensorMask.ts#tensorMask',
  },
];

/** Every requirement, in the order of the specification. */
export const REQUIREMENTS: readonly Requirement[] = [
  ...algorithm,
  ...equations,
  ...masks,
  ...stream,
  ...rules,
  ...state,
  ...family,
  ...errors,
  ...protocol,
  ...comparators,
  ...schedules,
  ...decisions,
  ...trained,
  ...distributed,
];
