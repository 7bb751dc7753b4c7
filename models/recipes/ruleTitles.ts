import type { MaskKindName } from 'learning-rate-dropout/spec';

/** The kinds of mask as the papers write them. */
export const MASK_TITLES: Readonly<Record<MaskKindName, string>> = {
  lrd: 'LRD',
  'skip-update': 'SkipUpdate',
  magma: 'Magma',
  cautious: 'Cautious',
};

/** The rules' names as the papers write them. */
export const RULE_TITLES: Readonly<Record<string, string>> = {
  sgdm: 'SGDM',
  'sgdm-avg': 'SGDM, mean of k gradients',
  rmsprop: 'RMSprop',
  adam: 'Adam',
  amsgrad: 'AMSGrad',
  radam: 'RAdam',
  adamw: 'AdamW',
};
