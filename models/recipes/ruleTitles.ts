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
