import { NotFoundError } from '../data/locate.ts';
import { findRecipe } from '../recipes/catalogue.ts';
import type { ResolvedRequest } from './request.ts';

/**
 * The request with the embedded digits in MNIST's place, where the recipe would take MNIST, nobody has said where data lies and it is not on
 * this machine: so that a first call trains. The run records it. MNIST that is there and broken is no reason.
 */
export async function withStandIn<R extends ResolvedRequest>(request: R): Promise<R> {
  if (request.data !== 'mnist' || request.dataDir !== undefined) return request;
  try {
    await findRecipe(request.recipe).findData(request.data, undefined);
    return request;
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    const dataRemark =
      'the embedded digits (8 x 8) stand in for MNIST, which is not on this machine; lrd data fetch mnist gets it';
    return { ...request, data: 'digits', dataRemark };
  }
}
