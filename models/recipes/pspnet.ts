import type { SegmentedPicture } from '../data/vocExamples.ts';
import { loadVocSegmentation } from '../data/voc.ts';
import { initialisePspNet } from '../nets/pretrained.ts';
import { checkPspNetWidth, pspnet } from '../nets/pspnet.ts';
import { WHOLE } from '../tasks/part.ts';
import { drawSegmentation } from '../tasks/segmentation/draw.ts';
import { PSPNET_CROP, segment, segmentation, shrink } from '../tasks/segmentation/task.ts';
import { FILTERS, ofRun } from './recipe.ts';
import { vocRecipe } from './voc.ts';

/** Semantic segmentation as in TNNLS IV-B. */
export const PSPNET = vocRecipe<SegmentedPicture>({
  name: 'pspnet',
  title: 'PSPNet on a dilated ResNet-50 for VOC 2012 with SBD (TNNLS IV-B)',
  width: `${FILTERS}; a multiple of 2`,
  // Zhao et al. 2017 train for 30,000 steps: 45.4 epochs.
  defaults: { data: 'voc', batchSize: 16, epochs: 50, weightDecay: 1e-4 },
  takes: ['crop', 'evaluation'],
  reads: 'masks',
  checkWidth: checkPspNetWidth,
  load: loadVocSegmentation,
  build: (set, { crop = PSPNET_CROP, evaluation = 'whole', plain }, { frozenTensors, ...options }) => {
    const { train, validation, test, classes: names } = set;
    const classes = names.length;
    const net = ofRun(pspnet({ classes, ...options }), frozenTensors);
    return {
      net,
      task: ({ optimizer, part = WHOLE }) =>
        segmentation({ net, classes, train, validation, test, optimizer, crop, plain, evaluation, part }),
      initialise: (path) => initialisePspNet(net, path),
      draw: (example, path) =>
        drawSegmentation(shrink(example, crop), {
          path,
          classes: names,
          predict: (picture) => segment(net, picture, { crop, plain, evaluation }),
        }),
    };
  },
});
