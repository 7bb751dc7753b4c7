// Products of matrices, a tile of the result at a time. Compiled once for each instruction set that has a multiply-add, with LRD_FORM naming what it offers and LRD_LANES the width
// of a vector. A tile's sums stay in registers: eight rows of three vectors with AVX-512, four with AVX2, so that a line of the panel and one broadcast are all that is loaded for
// three multiply-adds. The left-hand side is read where it lies.
#include "products.h"

#include <immintrin.h>

#include <cstring>

namespace lrd {
namespace products {
// Each translation unit has its own: nothing of one instruction set may stand in for another's.
namespace {

#define LRD_INLINE inline __attribute__((always_inline))

constexpr int kLanes = LRD_LANES;
constexpr int kRows = LRD_LANES == 16 ? 8 : 4;

#if LRD_LANES == 16
typedef __m512 Floats;
LRD_INLINE Floats zeros() { return _mm512_setzero_ps(); }
LRD_INLINE Floats load(const float* from) { return _mm512_loadu_ps(from); }
LRD_INLINE void store(float* to, Floats value) { _mm512_storeu_ps(to, value); }
LRD_INLINE Floats splat(float x) { return _mm512_set1_ps(x); }
LRD_INLINE Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
LRD_INLINE Floats madd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
// The second where either is NaN.
LRD_INLINE Floats greater(Floats a, Floats b) { return _mm512_max_ps(a, b); }
#else
typedef __m256 Floats;
LRD_INLINE Floats zeros() { return _mm256_setzero_ps(); }
LRD_INLINE Floats load(const float* from) { return _mm256_loadu_ps(from); }
LRD_INLINE void store(float* to, Floats value) { _mm256_storeu_ps(to, value); }
LRD_INLINE Floats splat(float x) { return _mm256_set1_ps(x); }
LRD_INLINE Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
LRD_INLINE Floats madd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
LRD_INLINE Floats greater(Floats a, Floats b) { return _mm256_max_ps(a, b); }
#endif

// Lines and columns that are transposed at once.
constexpr int kTurned = 8;

// to[k * width + j] = from[j * lead + k] for j, k < 8.
LRD_INLINE void turn(const float* from, int64_t lead, float* to, int64_t width) {
  __m256 a[kTurned], b[kTurned];
  for (int j = 0; j < kTurned; j++) a[j] = _mm256_loadu_ps(from + j * lead);
  for (int j = 0; j < kTurned; j += 2) {
    b[j] = _mm256_unpacklo_ps(a[j], a[j + 1]);
    b[j + 1] = _mm256_unpackhi_ps(a[j], a[j + 1]);
  }
  for (int j = 0; j < kTurned; j += 4) {
    a[j] = _mm256_shuffle_ps(b[j], b[j + 2], 0x44);
    a[j + 1] = _mm256_shuffle_ps(b[j], b[j + 2], 0xee);
    a[j + 2] = _mm256_shuffle_ps(b[j + 1], b[j + 3], 0x44);
    a[j + 3] = _mm256_shuffle_ps(b[j + 1], b[j + 3], 0xee);
  }
  for (int k = 0; k < 4; k++) {
    _mm256_storeu_ps(to + k * width, _mm256_permute2f128_ps(a[k], a[k + 4], 0x20));
    _mm256_storeu_ps(to + (k + 4) * width, _mm256_permute2f128_ps(a[k], a[k + 4], 0x31));
  }
}

void packTurned(const float* from, int64_t lead, int64_t depth, int64_t count, int64_t width, float* to) {
  int64_t first = 0;
  for (; first + kTurned <= count; first += kTurned) {
    int64_t k = 0;
    for (; k + kTurned <= depth; k += kTurned) turn(from + first * lead + k, lead, to + k * width + first, width);
    for (; k < depth; k++) {
      for (int64_t j = first; j < first + kTurned; j++) to[k * width + j] = from[j * lead + k];
    }
  }
  if (first == width) return;
  for (int64_t k = 0; k < depth; k++) {
    for (int64_t j = first; j < width; j++) to[k * width + j] = j < count ? from[j * lead + k] : 0;
  }
}

// Whole lines of `kCount` numbers, which the compiler knows the length of.
template <int kCount>
void copyLines(const float* from, int64_t lead, int64_t depth, float* to) {
  for (int64_t k = 0; k < depth; k++) std::memcpy(to + k * kCount, from + k * lead, kCount * sizeof(float));
}

void pack(const float* from, int64_t lead, bool turned, int64_t depth, int64_t count, int64_t width, float* to) {
  constexpr int kWidest = kVectors * kLanes;
  if (turned) return packTurned(from, lead, depth, count, width, to);
  if (count == kWidest && width == kWidest) return copyLines<kWidest>(from, lead, depth, to);
  if (count == kRows && width == kRows) return copyLines<kRows>(from, lead, depth, to);
  for (int64_t k = 0; k < depth; k++) {
    std::memcpy(to + k * width, from + k * lead, static_cast<size_t>(count) * sizeof(float));
    std::memset(to + k * width + count, 0, static_cast<size_t>(width - count) * sizeof(float));
  }
}

template <int kWide>
LRD_INLINE void finishRow(const Floats (&sums)[kWide], float* c, const Finish& finish) {
#pragma GCC unroll 3
  for (int v = 0; v < kWide; v++) {
    Floats sum = sums[v];
    if (finish.onto) sum = add(load(c + v * kLanes), sum);
    if (finish.bias != nullptr) sum = add(sum, load(finish.bias + v * kLanes));
    if (finish.clamp) sum = greater(zeros(), sum);
    store(c + v * kLanes, sum);
  }
}

// The same of a row that ends within its vectors.
template <int kWide>
void finishEdge(const Floats (&sums)[kWide], float* c, int64_t columns, const Finish& finish) {
  const size_t bytes = static_cast<size_t>(columns) * sizeof(float);
  float row[kWide * kLanes] = {}, bias[kWide * kLanes] = {};
  Finish own = finish;
  if (finish.onto) std::memcpy(row, c, bytes);
  if (finish.bias != nullptr) {
    std::memcpy(bias, finish.bias, bytes);
    own.bias = bias;
  }
  finishRow<kWide>(sums, row, own);
  std::memcpy(c, row, bytes);
}

// Lines of a panel between two requests, and numbers that one asks for.
constexpr int64_t kBetween = 16;
constexpr int64_t kAsked = 48;

LRD_INLINE void ask(Ahead& ahead) {
  // Of lines of 16 numbers: wherever in a line the first one stands, the last one's is among them.
  constexpr int64_t kPlaces[] = {0, 16, 32, kAsked - 1};
  for (const int64_t place : kPlaces) {
    const float* from = ahead.row + ahead.done + place;
    if (ahead.written) {
      __builtin_prefetch(from, 1, 2);
    } else {
      __builtin_prefetch(from, 0, 2);
    }
  }
  ahead.done += kAsked;
  if (ahead.done < ahead.width) return;
  ahead.done = 0;
  ahead.row += ahead.lead;
  ahead.rows--;
}

template <int kWide, bool kLeftTurned>
void tileOf(const float* __restrict a, int64_t apart, const float* __restrict panel, int64_t depth, float* __restrict c, int64_t lead, int64_t count, int64_t columns,
            const Finish& finish, Ahead* ahead) {
  Floats sums[kRows][kWide];
  const float* rows[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    // What lies beyond the last row is the last row again: its sums go nowhere.
    const int64_t row = r < count ? r : count - 1;
    rows[r] = a + (kLeftTurned ? row : row * apart);
#pragma GCC unroll 3
    for (int v = 0; v < kWide; v++) sums[r][v] = zeros();
  }
  for (int64_t k = 0; k < depth;) {
    if (ahead != nullptr && ahead->rows > 0) ask(*ahead);
    for (const int64_t end = depth - k < kBetween ? depth : k + kBetween; k < end; k++, panel += kWide * kLanes) {
      Floats line[kWide];
#pragma GCC unroll 3
      for (int v = 0; v < kWide; v++) line[v] = load(panel + v * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) {
        const Floats one = splat(rows[r][kLeftTurned ? k * apart : k]);
#pragma GCC unroll 3
        for (int v = 0; v < kWide; v++) sums[r][v] = madd(one, line[v], sums[r][v]);
      }
    }
  }
  const bool whole = columns == kWide * kLanes;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    if (r >= count) break;
    if (whole) {
      finishRow<kWide>(sums[r], c + r * lead, finish);
    } else {
      finishEdge<kWide>(sums[r], c + r * lead, columns, finish);
    }
  }
}

template <bool kLeftTurned>
void tileOfWidth(const Left& left, const float* panel, int64_t depth, int64_t vectors, float* c, int64_t lead, int64_t count, int64_t columns, const Finish& finish, Ahead* ahead) {
  const auto run = vectors == 3 ? tileOf<3, kLeftTurned> : vectors == 2 ? tileOf<2, kLeftTurned> : tileOf<1, kLeftTurned>;
  run(left.values, left.apart, panel, depth, c, lead, count, columns, finish, ahead);
}

void tile(const Left& left, const float* panel, int64_t depth, int64_t vectors, float* c, int64_t lead, int64_t count, int64_t columns, const Finish& finish, Ahead* ahead) {
  (left.turned ? tileOfWidth<true> : tileOfWidth<false>)(left, panel, depth, vectors, c, lead, count, columns, finish, ahead);
}

}  // namespace

extern const Form LRD_FORM;
const Form LRD_FORM = {kRows, kLanes, pack, tile};

}  // namespace products
}  // namespace lrd
