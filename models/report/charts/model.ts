/**
 * What a page draws, as data that it carries: runs with a column a quantity, charts that point at them. The same data is drawn by the
 * program into the picture that stays without script, and by the page's script again when somebody changes the view.
 */

/** A value an epoch; null where there is none, or none that is finite. */
export type Column = readonly (number | null)[];

/** A quantity along an axis. */
export interface Axis {
  /** Its column in the runs. */
  readonly column: string;
  /** With its unit. */
  readonly label: string;
  readonly logarithmic?: boolean;
  /** Ticks at whole numbers alone. */
  readonly whole?: boolean;
}

/** What one colour stands for: an entry of the legend. */
export interface Arm {
  readonly label: string;
  /** An index into the styles, from 0: the colour without LRD. */
  readonly style: number;
  /** Dashed: an arm that the paper does not have, or a reference. */
  readonly control?: boolean;
}

/** One run, or one lane of a benchmark. */
export interface Curve {
  readonly name: string;
  /** Index of its arm. */
  readonly arm: number;
  readonly columns: Readonly<Record<string, Column>>;
}

export interface Chart {
  readonly title: string;
  /** Charts of one row have the same axes. */
  readonly row: string;
  readonly y: Axis;
  /** Indices of its curves. Several of one arm are drawn as their mean with a band. */
  readonly curves: readonly number[];
}

/** Charts that are looked at together: one legend, one set of controls. */
export interface Block {
  readonly id: string;
  /** What may stand on the x axis; the first does at the beginning. */
  readonly axes: readonly Axis[];
  readonly arms: readonly Arm[];
  readonly curves: readonly Curve[];
  readonly charts: readonly Chart[];
  /** What was left out so that the page stays small; in words. */
  readonly thinned?: string;
}

/** How a block is looked at. */
export interface View {
  /** The column on the x axis. */
  readonly axis: string;
  /** In place of what a chart has of itself. */
  readonly scale: 'own' | 'linear' | 'logarithmic';
  /** Weight of the past in the running mean, in [0, 1). 0: none. */
  readonly smoothing: number;
  readonly seeds: 'mean' | 'each';
  /** Leaves a steep start out of the y axis, which then says so. */
  readonly cut: boolean;
  /** What of the x axis is seen. Absent: all. */
  readonly range?: readonly [from: number, to: number];
  /** Labels of arms and names of curves that are not drawn. */
  readonly hidden: ReadonlySet<string>;
}

/** The x axes of a block of runs: epochs, steps where every run counts them, and the column that has the seconds. */
export function runAxes(withSteps: boolean, seconds: string): readonly Axis[] {
  return [
    { column: 'epoch', label: 'epoch', whole: true },
    ...(withSteps ? [{ column: 'step', label: 'step', whole: true }] : []),
    { column: seconds, label: 'seconds of training' },
  ];
}

/** The view that a block is first seen in. */
export function firstView({ axes }: Block): View {
  return { axis: axes[0]?.column ?? '', scale: 'own', smoothing: 0, seeds: 'mean', cut: false, hidden: new Set() };
}

/** Colours as CSS variables of the page; chosen so that they differ in lightness too (`colours.test.ts`). */
export const COLOURS = ['--s0', '--s1', '--s2', '--s3', '--s4', '--s5', '--s6'] as const;
const DASHES = ['', '2 3', '9 3 2 3', '12 3'] as const;
const CONTROL_DASHES = ['7 4', '5 2', '7 2 2 2 2 2', '3 5'] as const;

/** A stroke: colour first, then dashes, so that no two of 28 arms look alike. */
export interface Stroke {
  readonly colour: string;
  readonly dash: string;
}

/** The stroke of an arm. */
export function strokeOf({ style, control = false }: Arm): Stroke {
  const round = Math.floor(style / COLOURS.length) % DASHES.length;
  return {
    colour: `var(${COLOURS[style % COLOURS.length]})`,
    dash: (control ? CONTROL_DASHES : DASHES)[round] as string,
  };
}
