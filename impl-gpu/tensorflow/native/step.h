// What the operation (operation.cc) hands to the kernels (kernel.cc): one tensor's part in a step, planned in float64 by engines/plan.ts.
#ifndef LEARNING_RATE_DROPOUT_STEP_H_
#define LEARNING_RATE_DROPOUT_STEP_H_

#include <cstdint>

namespace lrd {

// The families of engines/engine.ts, in its order; their formulas stand there.
enum class Family : int32_t { kGradient, kMomentum, kRmsprop, kAdam, kAmsgrad, kFirstMoment, kCount };

// The flags of a kernel, as bits.
constexpr int32_t kCoupled = 1;
constexpr int32_t kDecoupled = 2;
constexpr int32_t kNesterov = 4;
constexpr int32_t kCentered = 8;
constexpr int32_t kInside = 16;
constexpr int32_t kBuffered = 32;
constexpr int32_t kAllFlags = 63;

// threshold of a tensor whose elements are all kept: no mask is drawn.
constexpr int32_t kKeepAll = 65536;

constexpr int kMostState = 3;

// SCALARS of engines/engine.ts, in its order.
struct Scalars {
  float rate, decay, shrink, first_keep, first_add, second_keep, second_add, momentum, epsilon, max_scale;
};
constexpr int kScalars = 10;

struct Step {
  Family family;
  int32_t flags;
  // An element is kept iff its 16-bit half is below.
  int32_t threshold;
  Scalars scalars;
  // Where the mask stands in the stream: counter words 0 and 1 of element 0, then word 2.
  uint64_t block;
  uint32_t step;
  uint32_t key[2];
  float* parameter;
  const float* gradient;
  float* state[kMostState];
};

// Steps elements [first, last) in place. first is a multiple of 8, the elements of a block.
using Run = void (*)(const Step& step, int64_t first, int64_t last);

}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_STEP_H_
