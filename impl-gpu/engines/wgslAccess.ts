/** Ways of access beside `QUADS`, which buffers of the caller's may need or like better. */
import type { Access } from './engine.ts';
import { MAIN, WORKGROUP, ownBlock, quadMask } from './wgsl.ts';

/** Element by element, where a tensor's size is no multiple of four. */
export const ELEMENTS: Access = {
  name: 'elements',
  unit: 1,
  main: (masked) => `${MAIN}${ownBlock(masked)}
  for (var j = 0u; j < 8u; j++) {
    if (8u * thread + j < u.count) {
      advance(u.first + 8u * thread + j, ${masked ? '((words[j >> 1u] >> (16u * (j & 1u))) & 0xffffu) < u.threshold' : 'true'});
    }
  }
}
`,
};

/**
 * Neighbouring threads take neighbouring quads, and the blocks change hands through workgroup memory; drivers for CPUs pay some 20 times
 * the step for that barrier.
 */
export const SPREAD: Access = {
  name: 'spread',
  unit: 4,
  main: (masked) => `${masked ? `var<workgroup> drawn: array<vec4<u32>, ${WORKGROUP}>;` : ''}
${MAIN}
  ${masked ? 'drawn[local] = draw(u.block + thread);\n  workgroupBarrier();' : ''}
  for (var j = 0u; j < 2u; j++) {
    let at = local + j * ${WORKGROUP}u;
    let quad = 2u * start + at;
    if (4u * quad < u.count) {
      ${masked ? 'let block = drawn[at >> 1u];\n      let words = select(block.xy, block.zw, (at & 1u) == 1u);' : ''}
      advance(u.first + quad, ${quadMask(masked, 'words.x', 'words.y')});
    }
  }
}
`,
};
