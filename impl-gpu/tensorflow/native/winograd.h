// What the operations (productOperations.cc) hand to the transforms of 3 x 3 convolutions (winograd.cc).
#ifndef LEARNING_RATE_DROPOUT_WINOGRAD_H_
#define LEARNING_RATE_DROPOUT_WINOGRAD_H_

#include <cstdint>

namespace lrd {
namespace winograd {

// Pixels of a transformed tile, and of a filter.
constexpr int64_t kPoints = 16;
constexpr int64_t kTaps = 9;
// Channels come in multiples of this, a vector of the widest form.
constexpr int64_t kChannels = 16;

// A picture in [height, width, channels], or some of its channels: pixels `pixel` numbers apart, rows `row`.
template <class Number>
struct Picture {
  Number* values;
  int64_t height, width, pixel, row;
};

// What an instruction set has. Each works on `count` channels, whole vectors, that lie beside each other; what it transforms to and from are kPoints such lines, `step` apart. Those that give
// a result say whether all of it is finite.
struct Form {
  // to = B' d B of the 4 x 4 pixels from (top, left) on; 0 beyond the edges.
  void (*image)(const Picture<const float>& x, int64_t top, int64_t left, int64_t count, float* to, int64_t step);
  // to = G g G' of a filter whose taps are `tap` apart.
  void (*filter)(const float* g, int64_t tap, int64_t count, float* to, int64_t step);
  // The 2 x 2 pixels from (top, left) on, as far as there are, = A' m A, plus the bias where it is not null, and where `clamp` not less than 0.
  bool (*result)(const float* m, int64_t step, int64_t count, const Picture<float>& y, int64_t top, int64_t left, const float* bias, bool clamp);
  // to = A dy A' of the 2 x 2 pixels from (top, left) on; 0 beyond the edges.
  void (*slope)(const Picture<const float>& dy, int64_t top, int64_t left, int64_t count, float* to, int64_t step);
  // The taps = G' m G, where m is the sum of `parts` that are `part` apart, in order.
  bool (*gradient)(const float* m, int64_t step, int64_t parts, int64_t part, int64_t count, float* g, int64_t tap);
};

}  // namespace winograd
}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_WINOGRAD_H_
