/** Two spirals that wind around each other: a small problem that a linear model cannot solve. */
import * as tf from '@tensorflow/tfjs';

const TURNS = 1.5;

export interface Points {
  /** Positions, [2 count, 2], in [-1, 1]. */
  readonly x: tf.Tensor2D;
  /** Which spiral each is on, one-hot, [2 count, 2]. */
  readonly y: tf.Tensor2D;
}

/** `count` points on each spiral; the same on every call. */
export function spirals(count: number): Points {
  const points: number[][] = [];
  const labels: number[][] = [];
  for (let i = 0; i < count; i++) {
    const radius = (i + 1) / count;
    const angle = 2 * Math.PI * TURNS * radius;
    const [a, b] = [radius * Math.cos(angle), radius * Math.sin(angle)];
    points.push([a, b], [-a, -b]);
    labels.push([1, 0], [0, 1]);
  }
  return { x: tf.tensor2d(points), y: tf.tensor2d(labels) };
}
