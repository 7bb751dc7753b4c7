// The transforms of convolutions with a 3 x 3 filter and stride 1 by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin and Gray, "Fast algorithms for convolutional neural
// networks", CVPR 2016), and of the gradient of their filter the same way: 16 multiplications where the definition has 36. Compiled as products.cc is.
//
//   output tile  Y = A' [ (G g G') . (B' d B) ] A         d: 4 x 4 of the picture, g: the filter, Y: 2 x 2, "." elementwise, ' transposed
//   filter       dg = G' [ sum over tiles (B' d B) . (A dY A') ] G
//
//   B' = 1  0 -1  0      G = 1    0    0       A' = 1  1  1  0
//        0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
//        0 -1  1  0          1/2 -1/2  1/2
//        0  1  0 -1          0    0    1
//
// Summed over channels, or tiles, each of the 16 elements is a product of matrices of its own. All entries are 0, 1/2 or 1, so that the transforms round little.
#include "winograd.h"

#include <cstring>

namespace lrd {
namespace winograd {
// Each translation unit has its own: nothing of one instruction set may stand in for another's.
namespace {

#define LRD_INLINE inline __attribute__((always_inline))

constexpr int kLanes = LRD_LANES;
static_assert(kChannels % kLanes == 0, "channels are whole vectors");
typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));

LRD_INLINE Floats load(const float* from) {
  Floats value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

LRD_INLINE void store(float* to, const Floats& value) { std::memcpy(to, &value, sizeof value); }

// Of numbers less themselves: whether all of them were finite.
LRD_INLINE bool allZeros(Floats x) {
  bool all = true;
  for (int i = 0; i < kLanes; i++) all = all && x[i] == 0;
  return all;
}

constexpr float kHalf = 0.5f;

// B' of four, in place.
LRD_INLINE void imageOf(Floats& a, Floats& b, Floats& c, Floats& d) {
  const Floats first = a - c, second = b + c, third = c - b, fourth = b - d;
  a = first, b = second, c = third, d = fourth;
}

// G of three.
LRD_INLINE void filterOf(Floats a, Floats b, Floats c, Floats (&to)[4]) {
  const Floats sum = a + c;
  to[0] = a, to[1] = (sum + b) * kHalf, to[2] = (sum - b) * kHalf, to[3] = c;
}

// A' of four.
LRD_INLINE void resultOf(Floats a, Floats b, Floats c, Floats d, Floats (&to)[2]) { to[0] = a + b + c, to[1] = b - c - d; }

// A of two.
LRD_INLINE void slopeOf(Floats a, Floats b, Floats (&to)[4]) { to[0] = a, to[1] = a + b, to[2] = a - b, to[3] = -b; }

// G' of four.
LRD_INLINE void gradientOf(Floats a, Floats b, Floats c, Floats d, Floats (&to)[3]) {
  const Floats sum = (b + c) * kHalf;
  to[0] = a + sum, to[1] = (b - c) * kHalf, to[2] = sum + d;
}

// kSide x kSide pixels from (top, left) on, of which those beyond the edges are null.
template <int kSide>
LRD_INLINE bool pixelsOf(const Picture<const float>& x, int64_t top, int64_t left, const float* (&pixels)[kSide][kSide]) {
  bool all = true;
  for (int64_t i = 0; i < kSide; i++) {
    for (int64_t j = 0; j < kSide; j++) {
      const bool there = top + i >= 0 && top + i < x.height && left + j >= 0 && left + j < x.width;
      pixels[i][j] = there ? x.values + (top + i) * x.row + (left + j) * x.pixel : nullptr;
      all = all && there;
    }
  }
  return all;
}

template <bool kAll, int kSide>
LRD_INLINE void loadPixels(const float* const (&pixels)[kSide][kSide], int64_t at, Floats (&d)[kSide][kSide]) {
  for (int i = 0; i < kSide; i++) {
    for (int j = 0; j < kSide; j++) d[i][j] = kAll || pixels[i][j] != nullptr ? load(pixels[i][j] + at) : Floats{};
  }
}

template <bool kAll>
void imageOfPixels(const float* const (&pixels)[4][4], int64_t count, float* to, int64_t step) {
  for (int64_t at = 0; at < count; at += kLanes) {
    Floats d[4][4];
    loadPixels<kAll>(pixels, at, d);
    for (int j = 0; j < 4; j++) imageOf(d[0][j], d[1][j], d[2][j], d[3][j]);
    for (int i = 0; i < 4; i++) {
      imageOf(d[i][0], d[i][1], d[i][2], d[i][3]);
      for (int j = 0; j < 4; j++) store(to + (4 * i + j) * step + at, d[i][j]);
    }
  }
}

void image(const Picture<const float>& x, int64_t top, int64_t left, int64_t count, float* to, int64_t step) {
  const float* pixels[4][4];
  const bool all = pixelsOf(x, top, left, pixels);
  (all ? imageOfPixels<true> : imageOfPixels<false>)(pixels, count, to, step);
}

void filter(const float* g, int64_t tap, int64_t count, float* to, int64_t step) {
  for (int64_t at = 0; at < count; at += kLanes) {
    Floats columns[3][4];
    for (int j = 0; j < 3; j++) filterOf(load(g + j * tap + at), load(g + (3 + j) * tap + at), load(g + (6 + j) * tap + at), columns[j]);
    for (int i = 0; i < 4; i++) {
      Floats row[4];
      filterOf(columns[0][i], columns[1][i], columns[2][i], row);
      for (int j = 0; j < 4; j++) store(to + (4 * i + j) * step + at, row[j]);
    }
  }
}

bool result(const float* m, int64_t step, int64_t count, const Picture<float>& y, int64_t top, int64_t left, const float* bias, bool clamp) {
  float* corner = y.values + top * y.row + left * y.pixel;
  const bool below = top + 1 < y.height, beside = left + 1 < y.width;
  Floats rest{};
  for (int64_t at = 0; at < count; at += kLanes) {
    Floats columns[4][2];
    for (int j = 0; j < 4; j++) {
      const float* from = m + j * step + at;
      resultOf(load(from), load(from + 4 * step), load(from + 8 * step), load(from + 12 * step), columns[j]);
    }
    const Floats added = bias == nullptr ? Floats{} : load(bias + at);
    for (int i = 0; i < (below ? 2 : 1); i++) {
      Floats row[2];
      resultOf(columns[0][i], columns[1][i], columns[2][i], columns[3][i], row);
      for (int j = 0; j < (beside ? 2 : 1); j++) {
        Floats value = bias == nullptr ? row[j] : row[j] + added;
        rest += value - value;
        if (clamp) value = (Floats)((Ints)value & ~(value < Floats{}));
        store(corner + i * y.row + j * y.pixel + at, value);
      }
    }
  }
  return allZeros(rest);
}

void slope(const Picture<const float>& dy, int64_t top, int64_t left, int64_t count, float* to, int64_t step) {
  const float* pixels[2][2];
  pixelsOf(dy, top, left, pixels);
  for (int64_t at = 0; at < count; at += kLanes) {
    Floats d[2][2], columns[2][4];
    loadPixels<false>(pixels, at, d);
    for (int j = 0; j < 2; j++) slopeOf(d[0][j], d[1][j], columns[j]);
    for (int i = 0; i < 4; i++) {
      Floats row[4];
      slopeOf(columns[0][i], columns[1][i], row);
      for (int j = 0; j < 4; j++) store(to + (4 * i + j) * step + at, row[j]);
    }
  }
}

bool gradient(const float* m, int64_t step, int64_t parts, int64_t part, int64_t count, float* g, int64_t tap) {
  Floats rest{};
  for (int64_t at = 0; at < count; at += kLanes) {
    Floats columns[4][3];
    for (int j = 0; j < 4; j++) {
      Floats sums[4];
      for (int i = 0; i < 4; i++) {
        const float* from = m + (4 * i + j) * step + at;
        sums[i] = load(from);
        for (int64_t k = 1; k < parts; k++) sums[i] += load(from + k * part);
      }
      gradientOf(sums[0], sums[1], sums[2], sums[3], columns[j]);
    }
    for (int i = 0; i < 3; i++) {
      Floats row[3];
      gradientOf(columns[0][i], columns[1][i], columns[2][i], columns[3][i], row);
      for (int j = 0; j < 3; j++) {
        rest += row[j] - row[j];
        store(g + (3 * i + j) * tap + at, row[j]);
      }
    }
  }
  return allZeros(rest);
}

}  // namespace

extern const Form LRD_FORM;
const Form LRD_FORM = {image, filter, result, slope, gradient};

}  // namespace winograd
}  // namespace lrd
