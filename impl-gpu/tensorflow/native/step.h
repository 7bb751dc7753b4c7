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
constexpr int32_t kAgreement = 64;
constexpr int32_t kPlain = 128;
constexpr int32_t kAllFlags = 255;

// threshold of a tensor whose elements are all kept, or all dropped: no mask is drawn.
constexpr int32_t kKeepAll = 65536;
constexpr int32_t kKeepNone = 0;

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

// What is measured over a tensor before its step (masks/formulas.ts).
enum class Measured : int32_t { kAlignment, kAgreement, kCount };

// How an alignment is measured, as bits: with a moment of its own, with the moment before the step.
constexpr int32_t kOwn = 1;
constexpr int32_t kBefore = 2;

// One tensor's part in a measuring.
struct Measure {
  Family family;
  int32_t flags;
  Measured of;
  int32_t way;
  Scalars scalars;
  const float* gradient;
  // Null without coupled decay.
  const float* parameter;
  // The moment of an alignment, or what signState names.
  const float* state[kMostState];
  // Where an own moment goes on; null: there is none.
  float* moment;
};

// Elements whose sums are taken together: MEASURED of engines/engine.ts.
constexpr int64_t kMeasured = 8704;
constexpr int kSums = 3;

// The sums m.g, m.m and g.g of a stretch, or how many of its elements agree, in the first sum.
struct Sums {
  double value[kSums];
};

// What each instruction set has: steps elements [first, last) in place, where first is a multiple of 8, the elements of a block; and measures the
// stretches of `count` elements from `first` on, where the first of each is a multiple of kMeasured.
struct Form {
  void (*run)(const Step& step, int64_t first, int64_t last);
  void (*measure)(const Measure& measure, int64_t first, int64_t count, Sums* sums);
};

}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_STEP_H_
