/** The measuring passes of a step on WebGPU: for each tensor partial sums, then its factor, before the step that reads it. */
import type { Command, Measuring, Placed, TensorPlan, WgslHost, WgslMeasurer } from '../engines/engine.ts';
import { ALIGNMENT_STRIDE } from '../engines/webgpu.ts';
import { UNIFORM_BYTES, WORKGROUP, writeScalars } from '../engines/wgsl.ts';

/** `GPUBufferUsage`: STORAGE, UNIFORM | COPY_DST. */
const STORAGE = 0x80;
const UNIFORM = 0x40 | 0x08;

/** Bytes of a partial sum. */
const PARTIAL = 16;
/** Bytes from one factor to the next: any device's alignment of a binding. */
const FACTOR = 4 * ALIGNMENT_STRIDE;
/** Of a factor's own uniform block. */
const FACTOR_BYTES = 32;
const GATHER_BYTES = 16;
/** Elements of an invocation. */
const EACH = 64;
/** Partial sums that one workgroup takes: more are first made fewer. */
const GATHERED = 16 * WORKGROUP;

/** A command whose buffers are not there yet. */
type Draft = (room: {
  readonly uniforms: GPUBuffer;
  readonly partials: GPUBuffer;
  readonly factors: GPUBuffer;
}) => Command;

/** The measuring passes of one engine. */
export function createMeasurer({ device, stride, pipelineOf, cut }: WgslHost): WgslMeasurer {
  const storage = (size: number): GPUBuffer => device.createBuffer({ size: Math.max(FACTOR, size), usage: STORAGE });

  const prepare = (list: readonly Placed[], flat: boolean): Measuring => {
    const drafts: Draft[] = [];
    /** Fills the uniform block of each draft. */
    const blocks: ((target: ArrayBuffer, at: number) => void)[] = [];
    const factors = new Map<TensorPlan, { readonly buffer: GPUBuffer | undefined; readonly offset: number }>();
    /** Partial sums of the tensor with most of them: tensors are measured one after the other. */
    let most = 0;
    let own = 0;
    for (const placed of list) {
      const { tensor, buffers, index } = placed;
      const { measure, kernel } = tensor;
      if (measure === null) continue;
      const work = measure.wgsl(tensor);
      const { parameter, gradient, state } = buffers;
      const all: Readonly<Record<string, GPUBuffer>> = { ...state, parameter, gradient };
      let partials = 0;
      for (const { stretch, offset, window } of cut(placed, 1)) {
        const groups = Math.ceil(stretch.count / (EACH * WORKGROUP));
        const [at, place] = [stride * drafts.length, partials];
        partials += groups * WORKGROUP;
        blocks.push((target, byte) => {
          new Uint32Array(target, byte, 4).set([stretch.count, stretch.first, place, groups]);
          writeScalars(target, byte, work.scalars);
        });
        drafts.push((room) => {
          const types = work.binds.map((_, k) =>
            work.writes && k === work.binds.length - 1 ? 'storage' : 'read-only-storage',
          );
          const { pipeline, layout } = pipelineOf(
            `${Object.values(kernel).join()} ${work.name}`,
            [...types, 'storage'],
            UNIFORM_BYTES,
            work.sumShader,
          );
          const resources: GPUBufferBinding[] = [
            ...work.binds.map((name) => ({ buffer: all[name] as GPUBuffer, offset: 4 * offset, size: 4 * window })),
            { buffer: room.partials },
            { buffer: room.uniforms, size: UNIFORM_BYTES },
          ];
          return { pipeline, group: bind(layout, resources), offset: at, size: [groups, 1] };
        });
      }
      let [first, count] = [0, partials];
      if (count > GATHERED) {
        const at = stride * drafts.length;
        const groups = Math.ceil(count / GATHERED);
        const words = [first, count, count, groups];
        blocks.push((target, byte) => new Uint32Array(target, byte, 4).set(words));
        drafts.push((room) => {
          const { pipeline, layout } = pipelineOf(
            `${work.factorName} gathered`,
            ['storage'],
            GATHER_BYTES,
            work.gatherShader,
          );
          const resources = [{ buffer: room.partials }, { buffer: room.uniforms, size: GATHER_BYTES }];
          return { pipeline, group: bind(layout, resources), offset: at, size: [groups, 1] };
        });
        [first, count] = [count, groups];
      }
      most = Math.max(most, first + count);
      const factor =
        measure.state.length > 0
          ? { buffer: state['alignment'], offset: flat ? FACTOR * index : 0 }
          : { buffer: undefined, offset: FACTOR * own++ };
      factors.set(tensor, factor);
      const at = stride * drafts.length;
      const range = [first, count];
      blocks.push((target, byte) => {
        new Uint32Array(target, byte, 2).set(range);
        new Float32Array(target, byte + 8, 6).set(work.numbers);
      });
      drafts.push((room) => {
        const { pipeline, layout } = pipelineOf(
          work.factorName,
          ['read-only-storage', 'storage'],
          FACTOR_BYTES,
          work.factorShader,
        );
        const resources: GPUBufferBinding[] = [
          { buffer: room.partials },
          { buffer: factor.buffer ?? room.factors, offset: factor.offset, size: 4 },
          { buffer: room.uniforms, size: FACTOR_BYTES },
        ];
        return { pipeline, group: bind(layout, resources), offset: at, size: [1, 1] };
      });
    }
    const staging = new ArrayBuffer(stride * drafts.length);
    blocks.forEach((fill, i) => fill(staging, stride * i));
    const room = {
      uniforms: device.createBuffer({ size: staging.byteLength, usage: UNIFORM }),
      partials: storage(PARTIAL * most),
      factors: storage(FACTOR * own),
    };
    device.queue.writeBuffer(room.uniforms, 0, staging);
    return {
      commands: drafts.map((draft) => draft(room)),
      factors: new Map(
        [...factors].map(([tensor, { buffer, offset }]) => [
          tensor,
          { buffer: buffer ?? room.factors, offset, size: 4 },
        ]),
      ),
      release: () => Object.values(room).forEach((buffer) => buffer.destroy()),
    };
  };

  const bind = (layout: GPUBindGroupLayout, resources: readonly GPUBufferBinding[]): GPUBindGroup =>
    device.createBindGroup({ layout, entries: resources.map((resource, binding) => ({ binding, resource })) });

  return { prepare };
}
