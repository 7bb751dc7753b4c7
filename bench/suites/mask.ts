import * as tf from '@tensorflow/tfjs';
import { drawWords } from 'learning-rate-dropout/stream';
import { streamMask } from 'learning-rate-dropout/ref';
import type { Group, LaneSource } from '../harness/measure.ts';
import type { TfjsBackend } from '../lanes/tfjs.ts';
import { drain, selectBackend } from '../lanes/tfjs.ts';
import { onHardware } from '../lanes/deviceTime.ts';
import type { TorchDevice } from '../lanes/torch.ts';
import { torchName, torchPeer, torchSample } from '../lanes/torch.ts';
import { single } from '../lanes/workload.ts';
import { maskCostGroup } from './engines.ts';
import { ENGINE_FAMILIES } from './families.ts';
import type { Suite } from './suite.ts';

const KEEP = 0.5;
const SEED = 0x0123456789abcdefn;

/** A mask of `elements` bytes made by `draw` for step 1, 2, ... */
function hostLane(name: string, elements: number, draw: (step: number, mask: Uint8Array) => void): LaneSource {
  return {
    name,
    open: () => {
      const mask = new Uint8Array(elements);
      let step = 0;
      return {
        name,
        sample: () => {
          step += 1;
          draw(step, mask);
          // The next mask is written over this one, so nobody can leave it out.
          mask[step % elements] = (mask[step % elements] as number) ^ (mask[0] as number);
          return undefined;
        },
      };
    },
  };
}

function tfjsLane(backend: TfjsBackend, elements: number): LaneSource {
  const name = `tf.randomUniform and less, ${backend}`;
  return {
    name,
    open: async () => {
      await selectBackend(backend);
      const draw = async (): Promise<undefined> => {
        const mask = tf.tidy(() => tf.less(tf.randomUniform([elements]), KEEP));
        await drain(backend);
        mask.dispose();
        return undefined;
      };
      return { name, prepare: () => selectBackend(backend), sample: draw };
    },
  };
}

function torchMaskLane(elements: number, device: TorchDevice): LaneSource {
  const name = `${torchName(device)}: torch.bernoulli`;
  return {
    name,
    open: async () => {
      const peer = await torchPeer(device);
      return {
        name,
        ...torchSample(() => peer.ask({ op: 'mask', elements, keep: KEEP, device })),
      };
    },
  };
}

/** Masks that are written to memory, as those have to who have no fused kernel. */
function storedGroup(elements: number): Group {
  const key = [Number(SEED & 0xffffffffn), Number(SEED >> 32n)] as const;
  return {
    name: `a stored mask of ${elements.toLocaleString('en')} elements`,
    elements,
    lanes: [
      hostLane('js: the stream, impl-gpu on the host', elements, (step, mask) => {
        const words = drawWords({ seed: SEED, stream: 'mask', step }, 0, Math.ceil(elements / 2));
        for (let i = 0; i < elements; i++) {
          const word = words[i >> 1] as number;
          mask[i] = ((i & 1) === 0 ? word & 0xffff : word >>> 16) < 0x8000 ? 1 : 0;
        }
      }),
      hostLane('js: the stream, impl-ref', elements, (step, mask) =>
        mask.set(streamMask({ key, step, stream: 'mask', base: 0 }, elements, KEEP)),
      ),
      hostLane('js: Math.random', elements, (_, mask) => {
        for (let i = 0; i < elements; i++) mask[i] = Math.random() < KEEP ? 1 : 0;
      }),
      tfjsLane('cpu', elements),
      tfjsLane('wasm', elements),
      tfjsLane('webgpu', elements),
      torchMaskLane(elements, 'cpu'),
      onHardware(torchMaskLane(elements, 'cuda')),
    ],
    pairs: [],
  };
}

/** What random bits cost: inside the kernel, and stored. */
export const mask: Suite = {
  name: 'mask',
  title: 'The mask',
  about:
    "Inside a fused kernel the mask's cost is the difference to the same kernel at p = 1, turn by turn; it is never stored. Below it what others pay who store one.",
  groups: ({ full }) => [
    ...ENGINE_FAMILIES.map((family) => maskCostGroup(family, single(full ? 2 ** 22 : 2 ** 20))),
    storedGroup(full ? 2 ** 22 : 2 ** 20),
  ],
};
