/** Where the family comes from, and where its sources differ: for the specification, and for nobody's bundle. */
import type { MaskKindName, MaskOptionName } from './family.ts';

const magmaPaper = 'Joo, Xia, Kim, Zhang, Ie 2026, arXiv 2602.15322';

/** Each kind's name in words, and its source. */
export const KIND_SOURCES: Readonly<Record<MaskKindName, { readonly title: string; readonly source: string }>> = {
  lrd: { title: 'Learning rate dropout', source: 'Lin et al., IEEE TNNLS 2022, Algorithm 1' },
  'skip-update': { title: 'SkipUpdate', source: `${magmaPaper}, Algorithm 1` },
  magma: { title: 'Magma, momentum-aligned masking', source: `${magmaPaper}, Algorithm 1` },
  cautious: { title: 'Cautious', source: 'Liang et al. 2024, arXiv 2411.16085, Algorithm 1' },
};

/** What each option decides, where sources differ, and which source says which. */
export const OPTION_SOURCES: Readonly<Record<MaskOptionName, string>> = {
  temperature: 'tau of sigmoid(cos / tau): 2 in arXiv 2602.15322 and in every public implementation seen',
  smoothing: 's_t = smoothing s_(t-1) + (1 - smoothing) s~_t: .9 in arXiv 2602.15322; 0 is no smoothing',
  firstAlignment:
    's_0 is not stated in arXiv 2602.15322. `half`: sigmoid(0), what orthogonal vectors measure; `one`: magma-optimizer 0.1.1 and kozistr/pytorch_optimizer; `measured`: s_1 = s~_1',
  moment:
    "Whose first moment the cosine takes. `rule`: the base rule's own (buf of sgdm, m of the Adam family), and where it has none (rmsprop, sgdm without momentum) one kept for it, state `mu`; `own`: always `mu`, as magma-optimizer 0.1.1 does",
  momentDecay: 'mu = momentDecay mu + (1 - momentDecay) g: .9 in arXiv 2602.15322 and magma-optimizer 0.1.1',
  momentTime:
    "`after`: m includes this step's gradient, as Algorithm 1 of arXiv 2602.15322 is written and magma-optimizer 0.1.1 runs; `before`: the moment of the step before, as a pull request to microsoft/dion has it",
  cosineEpsilon:
    "cos = m.g / max(|m| |g|, cosineEpsilon), and 0 where either vector is zero: 0 is the formula itself; 1e-8 is PyTorch's cosine_similarity",
  meanFloor: "1 / max(mean, meanFloor): 1e-3 in the authors' C-Optim and in timm",
  normalization:
    "`mean`: 1 / max(mean, meanFloor); `count`: size / (kept + 1), the authors' first code (meanFloor is then unused)",
  decay:
    "Decoupled weight decay. `scaled`: part of the step, so masked and multiplied (Algorithm 1 of arXiv 2602.15322 read with AdamW's Delta; wrappers such as magma-optimizer); `masked`: masked, not multiplied; `plain`: neither (Algorithm 2 of arXiv 2411.16085, timm). Each kind has its own default",
};
