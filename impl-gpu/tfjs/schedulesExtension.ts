import { checkSchedule, valueAt } from './schedules.ts';
import { extend } from './extensions.ts';

/**
 * Lets optimizers take a schedule wherever they take a learning rate or a keep probability. Only bundles for browsers need to call it, which
 * leave schedules out otherwise; in Node they are there.
 */
export function useSchedules(): void {
  extend('schedules', { checkSchedule, valueAt });
}
