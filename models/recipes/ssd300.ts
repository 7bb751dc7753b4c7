import type { LabelledPicture } from '../data/vocExamples.ts';
import { loadVocDetection } from '../data/voc.ts';
import { initialiseSsd300 } from '../nets/pretrained.ts';
import { checkSsd300Width, ssd300 } from '../nets/ssd300.ts';
import { WHOLE } from '../tasks/part.ts';
import { drawDetections } from '../tasks/detection/draw.ts';
import { detection } from '../tasks/detection/task.ts';
import { ofRun } from './recipe.ts';
import { vocRecipe } from './voc.ts';

/** Object detection as in TNNLS IV-C. */
export const SSD300 = vocRecipe<LabelledPicture>({
  name: 'ssd300',
  title: 'SSD300 on VGG-16 for VOC 2007 + 2012 (TNNLS IV-C)',
  width: "filters of VGG-16's first block, 64; a multiple of 4",
  defaults: { data: 'voc', batchSize: 32, epochs: 100, weightDecay: 5e-4 },
  takes: [],
  reads: 'boxes',
  checkWidth: checkSsd300Width,
  load: loadVocDetection,
  build: (set, { plain }, { frozenTensors, ...options }) => {
    const { train, validation, test, classes: names } = set;
    const classes = names.length;
    const net = ofRun(ssd300({ classes, ...options }), frozenTensors);
    return {
      net,
      task: ({ optimizer, part = WHOLE }) =>
        detection({ net, classes, train, validation, test, optimizer, plain, part }),
      initialise: (path) => initialiseSsd300(net, path),
      draw: (example, path) => drawDetections(net, example, { path, classes: names }),
    };
  },
});
