/**
 * What the papers leave open or get wrong, each with the requirements that decide it and say why.
 * Found by reading both versions of the paper against the authors' code and other implementations.
 */
export interface OpenPoint {
  /** What is open or wrong, in a sentence. */
  readonly text: string;
  /** The ids of the requirements that decide it. */
  readonly requirements: readonly string[];
}

/** All of them, in the order of the papers. */
export const OPEN_POINTS: readonly OpenPoint[] = [
  {
    text: 'p is called dropout rate and is the probability of keeping; its range and p = 1 are not defined',
    requirements: ['LRD-MASK-001', 'LRD-MASK-002', 'LRD-ERROR-001'],
  },
  {
    text: 'Algorithm 1 has no epsilon, no bias correction, no weight decay',
    requirements: ['LRD-ALG-001', 'LRD-ALG-004'],
  },
  {
    text: 'Whether the mask reaches moments, step count or bias correction',
    requirements: ['LRD-MASK-004', 'LRD-ALG-008'],
  },
  {
    text: 'Where weight decay stands, coupled and decoupled, on dropped steps',
    requirements: ['LRD-RULE-010', 'LRD-RULE-011'],
  },
  {
    text: 'RAdam: masked before rectification? and the learning rate .03 that is called a default',
    requirements: ['LRD-DEC-003', 'LRD-RULE-007'],
  },
  { text: "Two bugs in the authors' RMSprop", requirements: ['LRD-DEC-006', 'LRD-RULE-003'] },
  { text: 'The first momentum: g or (1 - dampening) g', requirements: ['LRD-RULE-001'] },
  { text: 'Eq. (1) is called a moving average for any eta', requirements: ['LRD-EQ-001'] },
  {
    text: 'Eq. (3): which interval has the mean 1/p, and what a finite run does to it',
    requirements: ['LRD-EQ-003', 'LRD-MASK-009'],
  },
  {
    text: 'Eqs. (6) to (8): only coordinate i stands still, not the point of the gradient',
    requirements: ['LRD-EQ-007', 'LRD-EQ-006', 'LRD-EQ-008'],
  },
  { text: '"Uniformly" one of 2^n subsets', requirements: ['LRD-MASK-006'] },
  { text: '"Each update will still cause a decrease in the loss"', requirements: ['LRD-DEC-001', 'LRD-DEC-002'] },
  { text: 'Eq. (10) before k gradients, and its gain against eq. (1)', requirements: ['LRD-EQ-010', 'LRD-RULE-002'] },
  {
    text: 'Eq. (9): the optimum given is none, "flatter" is false, leaving a minimum is not reproduced',
    requirements: ['LRD-EQ-009', 'LRD-DEC-004', 'LRD-DEC-005'],
  },
  { text: 'Table I: repeated numbers, selection epoch unstated', requirements: ['LRD-DEC-009'] },
  { text: 'Weight decay for MNIST', requirements: ['LRD-DEC-011'] },
  { text: 'Training loss and accuracy: running sums in training mode', requirements: ['LRD-DEC-012'] },
  { text: '"Almost all p" improve the accuracy', requirements: ['LRD-DEC-010'] },
  { text: '"Negligible" cost', requirements: ['LRD-DEC-008'] },
  {
    text: 'No random generator, no word on resuming',
    requirements: ['LRD-STREAM-001', 'LRD-STREAM-005', 'LRD-STATE-001'],
  },
  {
    text: 'Parameters without a gradient, and parameter groups',
    requirements: ['LRD-STATE-002', 'LRD-STATE-004', 'LRD-MASK-007', 'LRD-STREAM-003'],
  },
  {
    text: 'Accumulation, clipping and the order of everything; 0 times infinity',
    requirements: ['LRD-CMP-001', 'LRD-SCHED-005', 'LRD-SCHED-006', 'LRD-MASK-003'],
  },
  {
    text: 'p as a trainable parameter: no method given',
    requirements: ['LRD-TRAIN-001', 'LRD-TRAIN-002', 'LRD-TRAIN-003'],
  },
];
