// Passes over a layer's activations that TensorFlow makes of two or three operations, each with a turn of its threads. Compiled once for each
// instruction set, as kernel.cc is, with LRD_FORM naming what it offers; the loops are the compiler's to widen.
#include "layers.h"

namespace lrd {
namespace layers {
namespace {

template <bool kClamp>
void biasRows(float* __restrict values, const float* __restrict bias, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; r++, values += columns) {
    for (int64_t c = 0; c < columns; c++) {
      const float sum = values[c] + bias[c];
      values[c] = kClamp && sum < 0 ? 0.0f : sum;
    }
  }
}

void bias(float* values, const float* bias, int64_t rows, int64_t columns, bool clamp) {
  (clamp ? biasRows<true> : biasRows<false>)(values, bias, rows, columns);
}

// dy where y is above 0; of what is no number or infinite, dy times 0 and the like, as a product would have it.
inline float slopeOf(float dy, float y) {
  const float step = y > 0 ? 1.0f : 0.0f * y;
  return dy * step;
}

void slope(const float* __restrict dy, const float* __restrict y, float* __restrict dz, float* __restrict sums, int64_t rows, int64_t columns) {
  if (sums == nullptr) {
    for (int64_t i = 0; i < rows * columns; i++) dz[i] = slopeOf(dy[i], y[i]);
    return;
  }
  for (int64_t c = 0; c < columns; c++) sums[c] = 0;
  for (int64_t r = 0; r < rows; r++, dy += columns, y += columns, dz += columns) {
    for (int64_t c = 0; c < columns; c++) {
      dz[c] = slopeOf(dy[c], y[c]);
      sums[c] += dz[c];
    }
  }
}

}  // namespace

extern const Form LRD_FORM;
const Form LRD_FORM = {bias, slope};

}  // namespace layers
}  // namespace lrd
