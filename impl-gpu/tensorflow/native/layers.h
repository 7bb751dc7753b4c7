// What the operations (operation.cc) hand to the passes over activations (layers.cc).
#ifndef LEARNING_RATE_DROPOUT_LAYERS_H_
#define LEARNING_RATE_DROPOUT_LAYERS_H_

#include <cstdint>

namespace lrd {
namespace layers {

// Rows whose column sums are taken together, in order; the sums of such groups are added in order too. So sums have the same bits with any number of threads, and
// their error grows with the root of the rows.
constexpr int64_t kRows = 64;

// What each instruction set has. Matrices are row after row.
struct Form {
  // values[r][c] += bias[c], and where `clamp` not less than 0; NaN stays NaN.
  void (*bias)(float* values, const float* bias, int64_t rows, int64_t columns, bool clamp);
  // dz = dy times the step function of y: 1 above 0, NaN of NaN, else 0. `sums`: dz[0][c] + dz[1][c] + ..., where it is not null.
  void (*slope)(const float* dy, const float* y, float* dz, float* sums, int64_t rows, int64_t columns);
};

}  // namespace layers
}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_LAYERS_H_
