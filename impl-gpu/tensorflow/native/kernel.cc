// The fused step: Philox4x32-10 (Salmon et al., SC 2011), the rule's recurrence and the select, one pass over a tensor; and the pass that measures what a
// tensor's factor is made of. Compiled once for each instruction set, with LRD_FORM naming what it offers and LRD_LANES the width of a vector; no multiply and add is contracted, so
// that every width, and every other engine of this package, has the same bits.
#include <cstring>
#include <type_traits>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "step.h"

namespace lrd {
// Each translation unit has its own: nothing of one instruction set may stand in for another's.
namespace {

typedef float Floats __attribute__((vector_size(4 * LRD_LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LRD_LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LRD_LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LRD_LANES)));

#define LRD_INLINE inline __attribute__((always_inline))

template <class Vector, class Element>
LRD_INLINE Vector load(const Element* from) {
  Vector value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Asks for what stands 2 KiB ahead: the processor's own prefetching ends at a page, and arrays that no cache holds are what a step waits for. Once a line
// of 64 bytes: `at` counts elements. Nothing is read beyond an array's end, and no fault comes of asking.
constexpr int64_t kAhead = 512;
LRD_INLINE void fetch(const float* from, int64_t at) {
  if (at % 16 == 0) __builtin_prefetch(from + at + kAhead);
}

template <class Vector, class Element>
LRD_INLINE void store(Element* to, const Vector& value) {
  std::memcpy(to, &value, sizeof value);
}

// Whether a lane of `words` is below `limit`, both without sign.
LRD_INLINE bool anyBelow(Words words, uint32_t limit) {
#if LRD_LANES == 16 && defined(__AVX512F__)
  return _mm512_cmplt_epu32_mask((__m512i)words, _mm512_set1_epi32(static_cast<int>(limit))) != 0;
#elif LRD_LANES == 8 && defined(__AVX2__)
  return _mm256_movemask_epi8((__m256i)(words < limit)) != 0;
#else
  uint32_t least = words[0];
  for (int i = 1; i < LRD_LANES; i++) least = words[i] < least ? words[i] : least;
  return least < limit;
#endif
}

LRD_INLINE Floats sqrt(Floats x) {
#if LRD_LANES == 16 && defined(__AVX512F__)
  return (Floats)_mm512_sqrt_ps((__m512)x);
#elif LRD_LANES == 8 && defined(__AVX2__)
  return (Floats)_mm256_sqrt_ps((__m256)x);
#else
  Floats root;
  for (int i = 0; i < LRD_LANES; i++) root[i] = __builtin_sqrtf(x[i]);
  return root;
#endif
}

// The greater one; NaN where either is, and +0 of two zeros that differ (f32x4.max of WebAssembly).
LRD_INLINE Floats max(Floats a, Floats b) {
  const Ints greater = a > b;
  const Ints less = a < b;
  const Ints equal = a == b;
  const Floats sum = a + b;
  const Ints bits = ((Ints)a & greater) | ((Ints)b & less) | ((Ints)a & (Ints)b & equal) |
                    ((Ints)sum & ~(greater | less | equal));
  return (Floats)bits;
}

// A word of each of some blocks, in the low half of 64 bits: what stands in the high half says nothing. So a product's high word takes one shift, and its low word none.
constexpr int kWide = LRD_LANES / 2;
typedef uint64_t Wide __attribute__((vector_size(8 * kWide)));

LRD_INLINE Wide product(Wide a, Wide b) {
#if LRD_LANES == 16 && defined(__AVX512F__)
  return (Wide)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif LRD_LANES == 8 && defined(__AVX2__)
  return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif LRD_LANES == 4 && defined(__SSE2__)
  return (Wide)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  for (int i = 0; i < kWide; i++) a[i] = (a[i] & 0xffffffffu) * b[i];
  return a;
#endif
}

// GCC has clang's name for it from 12 on only.
#if defined(__clang__)
#define LRD_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define LRD_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Wide{__VA_ARGS__})
#endif

// The words of the blocks in lanes 0, 2, 4, ..., then those in lanes 1, 3, 5, ..., all four of a block beside each other.
LRD_INLINE void interleave(const Wide (&words)[4], uint32_t* out) {
  const Wide low = (Wide){} + 0xffffffffu;
  const Wide front = (words[0] & low) | words[1] << 32, back = (words[2] & low) | words[3] << 32;
#if LRD_LANES == 16
  store(out, LRD_SHUFFLE(front, back, 0, 8, 2, 10, 4, 12, 6, 14));
  store(out + LRD_LANES, LRD_SHUFFLE(front, back, 1, 9, 3, 11, 5, 13, 7, 15));
#elif LRD_LANES == 8
  store(out, LRD_SHUFFLE(front, back, 0, 4, 2, 6));
  store(out + LRD_LANES, LRD_SHUFFLE(front, back, 1, 5, 3, 7));
#else
  store(out, LRD_SHUFFLE(front, back, 0, 2));
  store(out + LRD_LANES, LRD_SHUFFLE(front, back, 1, 3));
#endif
}

// Elements of a block, and of all blocks that are drawn at once.
constexpr int kPerBlock = 8;
constexpr int kPerDraw = kPerBlock * LRD_LANES;
// Elements whose mask is drawn ahead of their step. So few that a processor has both in hand: it draws the next ones while these wait for memory.
constexpr int kChunk = 128;
static_assert(kChunk % kPerDraw == 0, "a chunk is a whole number of draws");

// The 16-bit halves of a chunk, of the blocks from `block` on: word by word, the low half first.
__attribute__((noinline)) void draw(const Step& step, uint64_t block, uint32_t* out) {
  // Two vectors of blocks at a time, which need not wait for each other. Of each the first half stands in the even lanes, where `interleave` takes it from.
  constexpr int kSets = 2;
  Wide lane;
  for (int i = 0; i < kWide; i++) lane[i] = static_cast<uint64_t>(i / 2 + i % 2 * (kWide / 2));
  const Wide by[2] = {(Wide){} + 0xd2511f53u, (Wide){} + 0xcd9e8d57u};
  for (int done = 0; done < kChunk; done += kPerDraw, block += LRD_LANES, out += 4 * LRD_LANES) {
    Wide words[kSets][4];
    for (int set = 0; set < kSets; set++) {
      const Wide counter = lane + (block + static_cast<uint64_t>(set * kWide));
      words[set][0] = counter;
      words[set][1] = counter >> 32;
      words[set][2] = (Wide){} + step.step;
      words[set][3] = (Wide){};
    }
    uint32_t key[2] = {step.key[0], step.key[1]};
    for (int round = 0; round < 10; round++) {
      const Wide first = (Wide){} + key[0], second = (Wide){} + key[1];
      for (Wide(&w)[4] : words) {
        const Wide a = product(w[0], by[0]), b = product(w[2], by[1]);
        w[0] = b >> 32 ^ w[1] ^ first;
        w[2] = a >> 32 ^ w[3] ^ second;
        w[1] = b;
        w[3] = a;
      }
      key[0] += 0x9e3779b9u;
      key[1] += 0xbb67ae85u;
    }
    for (int set = 0; set < kSets; set++) interleave(words[set], out + 4 * kWide * set);
  }
}

typedef float Eight __attribute__((vector_size(32)));
typedef double Four __attribute__((vector_size(32)));

// m.g, m.m and g.g, each product and sum in float64: products of float32 numbers are exact there, and nothing overflows. Added in the order of the
// WASM engine (masks/wasm.ts), so that the sums have its bits: it has two pairs of sums, which take elements by fours in turn, the first two of
// them, then the other two; what is behind the last whole turn of it goes to the first sum of all.
class Alignment {
 public:
  static constexpr int kTurn = 32;
  static_assert(kMeasured % kTurn == 0, "a stretch is a whole number of turns");

  LRD_INLINE void add(Eight m, Eight g) {
    Four x[2], y[2];
    split(m, x);
    split(g, y);
    for (int half = 0; half < 2; half++) {
      sums_[0] += x[half] * y[half];
      sums_[1] += x[half] * x[half];
      sums_[2] += y[half] * y[half];
    }
  }

  LRD_INLINE void add(float m, float g) {
    const double x = m, y = g;
    sums_[0][0] += x * y;
    sums_[1][0] += x * x;
    sums_[2][0] += y * y;
  }

  Sums total() const {
    Sums all;
    for (int k = 0; k < kSums; k++) all.value[k] = (sums_[k][0] + sums_[k][2]) + (sums_[k][1] + sums_[k][3]);
    return all;
  }

 private:
  // Elements 0, 1, 4, 5, and 2, 3, 6, 7.
  static LRD_INLINE void split(Eight x, Four (&halves)[2]) {
#if defined(__AVX2__)
    const __m256d pairs = _mm256_permute4x64_pd((__m256d)x, 0xd8);
    halves[0] = (Four)_mm256_cvtps_pd(_mm_castpd_ps(_mm256_castpd256_pd128(pairs)));
    halves[1] = (Four)_mm256_cvtps_pd(_mm_castpd_ps(_mm256_extractf128_pd(pairs, 1)));
#else
    for (int i = 0; i < 4; i++) {
      halves[0][i] = x[i < 2 ? i : i + 2];
      halves[1][i] = x[i < 2 ? i + 2 : i + 4];
    }
#endif
  }

  Four sums_[kSums] = {};
};

// Arrays of one vector's elements, as a kernel takes them.
struct Place {
  float* parameter;
  const float* gradient;
  float* state[kMostState];
};

// Which elements of a stretch are kept: all, none, those that are drawn, those whose direction agrees with the gradient.
enum class Mode { kAll, kNone, kDrawn, kAgreeing };

// Numbers below 2^-126 take a processor a hundred times as long as others to multiply. A unit that no example wakes ends there: without a gradient its moments shrink by a factor
// each step, and stay, since .9 of the smallest number rounds to itself. Such an element rests: its parameter is too large to be moved by what its moments still
// say. It steps with 0 in their place while they go on beside it, as whole numbers of 2^-149. No bit differs from the rule's own arithmetic.
//
// With d below 2^-115 as a moment, rate * d / epsilon (without a division, rate * d) is below 2^-85 under the bounds of `mayRest`, and a parameter of at least
// 2^-30 is a whole number of 2^-54: neither it nor a decay that could reach its last bit is rounded to another number for that.
constexpr int exponentBits(int exponent) { return (exponent + 127) << 23; }
constexpr int32_t kMagnitude = 0x7fffffff;
constexpr int32_t kRestingParameter = exponentBits(-30);
// A square root of less has no part in sqrt(v) + epsilon; so much of vmax hides v.
constexpr int32_t kSmallestMaximum = exponentBits(-100);
constexpr float kSmallestEpsilon = 0x1p-37f;
constexpr float kLargestRate = 0x1p30f;
// A product with less might be 0, whose sign is another matter.
constexpr float kSmallestKeep = 0x1p-20f;
// Here the bits without the sign are the whole number itself, and so are those of a product with a factor up to 1.
constexpr int32_t kWhole = exponentBits(-125);

// What a state is, and below which its element may rest. A mean whose square is at least 2^-126 may have its part in the spread of the gradients.
enum class Moment { kFirst, kSecond, kMean, kBuffer, kMaximum };
constexpr int32_t restingBelow(Moment moment) {
  return moment == Moment::kSecond ? kWhole : moment == Moment::kMean ? exponentBits(-60) : moment == Moment::kMaximum ? 0 : exponentBits(-115);
}

// Whether one of some whole vectors' elements is not 0 and below 2^-126.
LRD_INLINE bool someTiny(const float* from, int64_t count) {
  constexpr uint32_t kNormal = static_cast<uint32_t>(exponentBits(-126));
  Words least = (Words){} - 1;
  for (int64_t i = 0; i < count; i += LRD_LANES) {
    const Words magnitude = load<Words>(from + i) & kMagnitude;
    least = magnitude < least ? magnitude : least;
  }
  if (!anyBelow(least, kNormal)) return false;
  // There may be nothing but zeros, which here are the greatest of all.
  least = (Words){} - 1;
  for (int64_t i = 0; i < count; i += LRD_LANES) {
    const Words magnitude = (load<Words>(from + i) & kMagnitude) - 1;
    least = magnitude < least ? magnitude : least;
  }
  return anyBelow(least, kNormal - 1);
}

// keep * whole, rounded to the nearest whole number, of two to the even one: the product is exact in float64.
LRD_INLINE Ints scale(Ints whole, double keep) {
#if LRD_LANES == 16 && defined(__AVX512F__)
  const __m512d by = _mm512_set1_pd(keep);
  const __m512d low = _mm512_cvtepi32_pd(_mm512_castsi512_si256((__m512i)whole)), high = _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64((__m512i)whole, 1));
  return (Ints)_mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtpd_epi32(low * by)), _mm512_cvtpd_epi32(high * by), 1);
#elif LRD_LANES == 8 && defined(__AVX2__)
  const __m256d by = _mm256_set1_pd(keep);
  const __m256d low = _mm256_cvtepi32_pd(_mm256_castsi256_si128((__m256i)whole)), high = _mm256_cvtepi32_pd(_mm256_extracti128_si256((__m256i)whole, 1));
  return (Ints)_mm256_inserti128_si256(_mm256_castsi128_si256(_mm256_cvtpd_epi32(low * by)), _mm256_cvtpd_epi32(high * by), 1);
#else
  // The last bits of a sum with 1.5 * 2^52 are that whole number.
  for (int i = 0; i < LRD_LANES; i++) whole[i] = static_cast<int32_t>((whole[i] * keep + 0x1.8p52) - 0x1.8p52);
  return whole;
#endif
}

// keep * x + zero, where `zero` has the bits of +0 or -0, and keep is in [0, 1].
LRD_INLINE Floats fade(Floats x, float keep, Ints zero) {
  const Ints magnitude = (Ints)x & kMagnitude;
  const Ints whole = magnitude < kWhole;
  const Ints next = scale(magnitude & whole, keep);
  const Ints sign = (Ints)x & ~kMagnitude;
  const Ints small = next | (sign & ((next != 0) | zero));
  const Floats other = keep * (Floats)((Ints)x & ~whole);
  return (Floats)((small & whole) | ((Ints)other & ~whole));
}

// Whole blocks and whole vectors: what is stepped together.
constexpr int kGroup = LRD_LANES > kPerBlock ? LRD_LANES : kPerBlock;

// Steps whole groups, `count` elements from `first` on.
using Groups = void (*)(const Step& step, int64_t first, int64_t count);

// Steps any elements, of a rule that has `states`.
__attribute__((noinline)) void elements(Groups groups, int states, const Step& step, int64_t first, int64_t count) {
  const int64_t whole = count / kGroup * kGroup;
  groups(step, first, whole);
  if (whole == count) return;
  // The last ones in a group of their own.
  const int64_t from = first + whole;
  const size_t bytes = sizeof(float) * static_cast<size_t>(count - whole);
  float parameter[kGroup] = {}, gradient[kGroup] = {}, state[kMostState][kGroup] = {};
  std::memcpy(parameter, step.parameter + from, bytes);
  std::memcpy(gradient, step.gradient + from, bytes);
  Step last = step;
  last.block += static_cast<uint64_t>(from / kPerBlock);
  last.parameter = parameter;
  last.gradient = gradient;
  for (int k = 0; k < states; k++) {
    std::memcpy(state[k], step.state[k] + from, bytes);
    last.state[k] = state[k];
  }
  groups(last, 0, kGroup);
  std::memcpy(step.parameter + from, parameter, bytes);
  for (int k = 0; k < states; k++) std::memcpy(step.state[k] + from, state[k], bytes);
}

template <Family kFamily, int32_t kFlags>
struct Rule {
  static constexpr int kState = kFamily == Family::kGradient   ? 0
                                : kFamily == Family::kMomentum ? 1
                                : kFamily == Family::kRmsprop  ? 1 + !!(kFlags & kCentered) + !!(kFlags & kBuffered)
                                : kFamily == Family::kAmsgrad  ? 3
                                                               : 2;

  // The step direction, and a value of its sign: its numerator, which no division underflows.
  struct Direction {
    Floats delta, numerator;
  };

  // Steps one vector. `drawn` has all bits of an element set that is kept, or none; only kDrawn reads it.
  template <Mode kMode>
  static LRD_INLINE void step(const Scalars& s, const Place& at, Ints drawn) {
    const Floats old = load<Floats>(at.parameter);
    Floats g = load<Floats>(at.gradient);
    if (kFlags & kCoupled) g = g + s.decay * old;
    const Direction moved = direction(s, at, g);
    const Floats change = s.rate * moved.delta;
    const Floats decay = s.shrink * old;
    const Floats next = old - ((kFlags & kDecoupled) ? decay + change : change);
    const Floats dropped = (kFlags & kPlain) ? old - decay : old;
    if (kMode == Mode::kAll) {
      store(at.parameter, next);
    } else if (kMode == Mode::kNone) {
      if (kFlags & kPlain) store(at.parameter, dropped);
    } else {
      const Ints kept = kMode == Mode::kDrawn ? drawn : agreement(moved.numerator, g);
      store(at.parameter, (Ints)(((Ints)next & kept) | ((Ints)dropped & ~kept)));
    }
  }

  // All bits where both have the same sign and neither is 0. A quotient whose numerator is infinite has no sign: so is its denominator.
  static LRD_INLINE Ints agreement(Floats a, Floats b) {
    const Floats zero = {};
    const Ints same = ((a > zero) & (b > zero)) | ((a < zero) & (b < zero));
    constexpr bool divides = kFamily == Family::kAdam || kFamily == Family::kAmsgrad || (kFamily == Family::kRmsprop && !(kFlags & kBuffered));
    return divides ? same & (a - a == zero) : same;
  }

  static LRD_INLINE Floats first(const Scalars& s, float* at, Floats g) {
    const Floats value = s.first_keep * load<Floats>(at) + s.first_add * g;
    store(at, value);
    return value;
  }

  // (second_add * g) * g: the square alone overflows from |g| = 1.8e19 on.
  static LRD_INLINE Floats second(const Scalars& s, float* at, Floats g) {
    const Floats value = s.second_keep * load<Floats>(at) + (s.second_add * g) * g;
    store(at, value);
    return value;
  }

  static LRD_INLINE Direction direction(const Scalars& s, const Place& at, Floats g) {
    if constexpr (kFamily == Family::kGradient) {
      return {g, g};
    } else if constexpr (kFamily == Family::kMomentum) {
      const Floats buf = first(s, at.state[0], g);
      const Floats delta = (kFlags & kNesterov) ? g + s.momentum * buf : buf;
      return {delta, delta};
    } else if constexpr (kFamily == Family::kRmsprop) {
      Floats spread = second(s, at.state[0], g);
      if (kFlags & kCentered) {
        const Floats mean = first(s, at.state[1], g);
        spread = max(spread - mean * mean, (Floats){});
      }
      const Floats ratio = (kFlags & kInside) ? g / sqrt(spread + s.epsilon) : g / (sqrt(spread) + s.epsilon);
      if (!(kFlags & kBuffered)) return {ratio, g};
      float* at_buf = at.state[(kFlags & kCentered) ? 2 : 1];
      const Floats buf = s.momentum * load<Floats>(at_buf) + ratio;
      store(at_buf, buf);
      return {buf, buf};
    } else {
      const Floats m = first(s, at.state[0], g);
      const Floats v = second(s, at.state[1], g);
      if constexpr (kFamily == Family::kFirstMoment) return {m, m};
      Floats square = v;
      if constexpr (kFamily == Family::kAmsgrad) {
        square = max(load<Floats>(at.state[2]), s.max_scale * v);
        store(at.state[2], square);
      }
      return {m / (sqrt(square) + s.epsilon), m};
    }
  }

  static constexpr Moment momentOf(int k) {
    if (kFamily == Family::kRmsprop) return k == 0 ? Moment::kSecond : k == 1 && (kFlags & kCentered) ? Moment::kMean : Moment::kBuffer;
    return k == 0 ? Moment::kFirst : k == 1 ? Moment::kSecond : Moment::kMaximum;
  }

  static LRD_INLINE float keepOf(const Scalars& s, Moment moment) {
    return moment == Moment::kSecond ? s.second_keep : moment == Moment::kBuffer ? s.momentum : s.first_keep;
  }

  // Whether elements of a step with these scalars may rest.
  static bool mayRest(const Scalars& s) {
    constexpr bool divides = kFamily == Family::kAdam || kFamily == Family::kAmsgrad || kFamily == Family::kRmsprop;
    bool may = kState > 0 && s.rate >= 0 && s.rate <= kLargestRate && s.momentum >= 0 && s.momentum <= 1;
    if (divides) may = may && s.epsilon >= kSmallestEpsilon && s.rate <= kLargestRate * s.epsilon;
    if (kFamily == Family::kAmsgrad) may = may && s.max_scale >= 0 && s.max_scale <= 0x1p20f;
    for (int k = 0; k < kState; k++) {
      const float keep = keepOf(s, momentOf(k));
      may = may && keep >= kSmallestKeep && keep <= 1;
    }
    return may;
  }

  // Whether some of the `count` elements from `first` on might rest, which only costs time where it is wrong. What shrinks faster than another moment, and ends at
  // the smallest number, tells for both: .9 of that is that again, .5 of it is 0.
  static LRD_INLINE bool someRest(const Step& step, int64_t first, int64_t count) {
    bool some = false;
    for (int k = 0; k < kState; k++) {
      const Moment moment = momentOf(k);
      if (moment == Moment::kMaximum || moment == Moment::kMean) continue;
      if (moment == Moment::kSecond && kFamily != Family::kRmsprop && step.scalars.first_keep > 0.5f) continue;
      some = some || someTiny(step.state[k] + first, count);
    }
    return some;
  }

  // Steps one vector as `step` does, of which some elements may rest.
  template <Mode kMode>
  static LRD_INLINE void stepResting(const Scalars& s, const Place& at, Ints drawn) {
    const Floats old = load<Floats>(at.parameter);
    Floats g = load<Floats>(at.gradient);
    if (kFlags & kCoupled) g = g + s.decay * old;
    const Ints resting = (g == (Floats){}) & (((Ints)old & kMagnitude) >= kRestingParameter);
    Floats before[kMostState];
    Ints rests[kMostState];
    float state[kMostState][LRD_LANES];
    Place place{at.parameter, at.gradient, {}};
    for (int k = 0; k < kState; k++) {
      before[k] = load<Floats>(at.state[k]);
      rests[k] = resting & (((Ints)before[k] & kMagnitude) < restingBelow(momentOf(k)));
      // The square root of a v below 0 is not a number.
      if (momentOf(k) == Moment::kSecond) rests[k] &= (Ints)before[k] >= 0;
      if (momentOf(k) == Moment::kBuffer) {
        // Where v is negative, infinite or not a number, or the mean is not one, the buffer has to hear of it.
        rests[k] &= ((Ints)before[0] >= 0) & ((Ints)before[0] < 0x7f800000);
        if (kFlags & kCentered) rests[k] &= before[1] == before[1];
      }
    }
    if (kFamily == Family::kAmsgrad) rests[1] &= (Ints)before[2] >= kSmallestMaximum;
    for (int k = 0; k < kState; k++) {
      store(state[k], (Ints)before[k] & ~rests[k]);
      place.state[k] = state[k];
    }
    Rule::step<kMode>(s, place, drawn);
    for (int k = 0; k < kState; k++) {
      const Moment moment = momentOf(k);
      // The square of a zero has no sign.
      const Floats faded = fade(before[k], keepOf(s, moment), moment == Moment::kSecond ? (Ints){} : (Ints)g);
      store(at.state[k], ((Ints)faded & rests[k]) | (load<Ints>(state[k]) & ~rests[k]));
    }
  }

  // Steps at most kChunk elements, with their halves.
  template <Mode kMode, bool kResting>
  static LRD_INLINE void chunk(const Step& step, int64_t first, int64_t until, const uint32_t* words) {
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(words);
    for (; first < until; first += LRD_LANES, halves += LRD_LANES) {
      Place at{step.parameter + first, step.gradient + first, {}};
      for (int k = 0; k < kState; k++) at.state[k] = step.state[k] + first;
      fetch(step.parameter, first);
      fetch(step.gradient, first);
      for (int k = 0; k < kState; k++) fetch(step.state[k], first);
      Ints drawn = {};
      if (kMode == Mode::kDrawn) drawn = __builtin_convertvector(load<Halves>(halves), Ints) < step.threshold;
      if constexpr (kResting) {
        stepResting<kMode>(step.scalars, at, drawn);
      } else {
        Rule::step<kMode>(step.scalars, at, drawn);
      }
    }
  }

  // By the threshold alone, whatever the words are, where all elements are kept or none.
  static __attribute__((noinline)) void restingChunk(const Step& step, int64_t first, int64_t until, const uint32_t* words) {
    chunk<(kFlags & kAgreement) != 0 ? Mode::kAgreeing : Mode::kDrawn, true>(step, first, until, words);
  }

  template <Mode kMode>
  static __attribute__((noinline)) void groups(const Step& step, int64_t first, int64_t count) {
    alignas(64) uint32_t words[kChunk / 2] = {};
    const bool may = mayRest(step.scalars);
    for (const int64_t end = first + count; first < end;) {
      const int64_t until = end - first < kChunk ? end : first + kChunk;
      if (kMode == Mode::kDrawn) draw(step, step.block + static_cast<uint64_t>(first / kPerBlock), words);
      if (may && someRest(step, first, until - first)) {
        restingChunk(step, first, until, words);
      } else {
        chunk<kMode, false>(step, first, until, words);
      }
      first = until;
    }
  }

  static void run(const Step& step, int64_t first, int64_t last) {
    const Groups chosen = (kFlags & kAgreement) != 0    ? groups<Mode::kAgreeing>
                          : step.threshold == kKeepAll  ? groups<Mode::kAll>
                          : step.threshold == kKeepNone ? groups<Mode::kNone>
                                                        : groups<Mode::kDrawn>;
    elements(chosen, kState, step, first, last - first);
  }

  // The values of one vector whose signs agree where an element is kept; what the state becomes stays here.
  static LRD_INLINE Ints agreeing(const Scalars& s, Floats g, const Floats* state) {
    if constexpr (kFamily == Family::kGradient || (kFamily == Family::kRmsprop && !(kFlags & kBuffered))) return agreement(g, g);
    float next[kMostState][LRD_LANES];
    Place at{nullptr, nullptr, {}};
    for (int k = 0; k < kState; k++) {
      // Of Adam's family only the first moment has been read, and only it is asked for.
      store(next[k], state[k]);
      at.state[k] = next[k];
    }
    return agreement(direction(s, at, g).numerator, g);
  }

  // How many states `agreeing` reads.
  static constexpr int kSigns = kFamily == Family::kRmsprop ? ((kFlags & kBuffered) ? kState : 0) : kFamily == Family::kGradient ? 0 : 1;

  // The sums of an alignment, of vectors and of single elements alike.
  template <class Vector>
  static LRD_INLINE void align(const Measure& measure, int64_t at, Alignment& sums) {
    const Scalars& s = measure.scalars;
    fetch(measure.gradient, at);
    fetch(measure.state[0], at);
    Vector g = load<Vector>(measure.gradient + at);
    if (kFlags & kCoupled) g = g + s.decay * load<Vector>(measure.parameter + at);
    const Vector moment = load<Vector>(measure.state[0] + at);
    const Vector next = s.first_keep * moment + s.first_add * g;
    sums.add((measure.way & kBefore) ? moment : next, g);
    if (measure.way & kOwn) store(measure.moment + at, next);
  }

  // Stretches by twos, since each sum waits for its last addition.
  static void alignments(const Measure& measure, int64_t first, int64_t count, Sums* sums) {
    for (; count >= 2 * kMeasured; first += 2 * kMeasured, count -= 2 * kMeasured) {
      Alignment one, other;
      for (int64_t i = first; i < first + kMeasured; i += 8) {
        align<Eight>(measure, i, one);
        align<Eight>(measure, i + kMeasured, other);
      }
      *sums++ = one.total();
      *sums++ = other.total();
    }
    for (; count > 0; first += kMeasured, count -= kMeasured) *sums++ = alignment(measure, first, count < kMeasured ? count : kMeasured);
  }

  static Sums alignment(const Measure& measure, int64_t first, int64_t count) {
    Alignment sums;
    const int64_t whole = count / Alignment::kTurn * Alignment::kTurn;
    for (int64_t i = 0; i < whole; i += 8) align<Eight>(measure, first + i, sums);
    for (int64_t i = whole; i < count; i++) align<float>(measure, first + i, sums);
    return sums.total();
  }

  static Sums agreements(const Measure& measure, int64_t first, int64_t count) {
    Ints agree = {};
    const auto add = [&](const float* gradient, const float* parameter, const float* const* state, int64_t at) {
      fetch(gradient, at);
      for (int k = 0; k < kSigns; k++) fetch(state[k], at);
      Floats g = load<Floats>(gradient + at);
      if (kFlags & kCoupled) g = g + measure.scalars.decay * load<Floats>(parameter + at);
      // Nothing agrees with a gradient of 0, so that a moment which may be below 2^-126 need not be multiplied.
      const Ints asked = g != (Floats){};
      Floats states[kMostState] = {};
      for (int k = 0; k < kSigns; k++) states[k] = (Floats)(load<Ints>(state[k] + at) & asked);
      agree = agree - agreeing(measure.scalars, g, states);
    };
    const int64_t whole = count / LRD_LANES * LRD_LANES;
    for (int64_t i = 0; i < whole; i += LRD_LANES) add(measure.gradient, measure.parameter, measure.state, first + i);
    if (whole < count) {
      // The last ones with zeros behind them, which agree with nothing.
      float gradient[LRD_LANES] = {}, parameter[LRD_LANES] = {}, state[kMostState][LRD_LANES] = {};
      const size_t bytes = sizeof(float) * static_cast<size_t>(count - whole);
      const float* states[kMostState] = {};
      std::memcpy(gradient, measure.gradient + first + whole, bytes);
      if (kFlags & kCoupled) std::memcpy(parameter, measure.parameter + first + whole, bytes);
      for (int k = 0; k < kSigns; k++) {
        std::memcpy(state[k], measure.state[k] + first + whole, bytes);
        states[k] = state[k];
      }
      add(gradient, parameter, states, 0);
    }
    Sums counted = {};
    for (int i = 0; i < LRD_LANES; i++) counted.value[0] += agree[i];
    return counted;
  }

  static void measure(const Measure& measure, int64_t first, int64_t count, Sums* sums) {
    if (measure.of == Measured::kAlignment) return alignments(measure, first, count, sums);
    for (; count > 0; first += kMeasured, count -= kMeasured) *sums++ = agreements(measure, first, count < kMeasured ? count : kMeasured);
  }
};

// The flags that a family has, beside those of the decay.
constexpr int32_t flagsOf(Family family) {
  return family == Family::kMomentum ? kNesterov : family == Family::kRmsprop ? kCentered | kInside | kBuffered : 0;
}

// Turns the flags of a step or a measuring into those of a type, a bit of kOffered at a time, and has the rule of that type do `work`.
template <Family kFamily, int32_t kOffered, int32_t kFlags, int32_t kBit, class Work>
auto chooseFlags(int32_t flags, const Work& work) {
  // Nothing but decoupled decay can be plain.
  constexpr int32_t kOpen = kOffered & ~((kBit == kPlain && (kFlags & kDecoupled) == 0) ? kPlain : 0);
  if constexpr (kBit > kAllFlags) {
    return work(Rule<kFamily, kFlags>());
  } else if constexpr ((kBit & kOpen) != 0) {
    if (flags & kBit) return chooseFlags<kFamily, kOffered, kFlags | kBit, 2 * kBit>(flags, work);
    return chooseFlags<kFamily, kOffered, kFlags, 2 * kBit>(flags, work);
  } else {
    return chooseFlags<kFamily, kOffered, kFlags, 2 * kBit>(flags, work);
  }
}

// kShared: the flags that matter in all families.
template <int32_t kShared, class Work>
auto choose(Family family, int32_t flags, const Work& work) {
  switch (family) {
    case Family::kMomentum:
      return chooseFlags<Family::kMomentum, kShared | flagsOf(Family::kMomentum), 0, 1>(flags, work);
    case Family::kRmsprop:
      return chooseFlags<Family::kRmsprop, kShared | flagsOf(Family::kRmsprop), 0, 1>(flags, work);
    case Family::kAdam:
      return chooseFlags<Family::kAdam, kShared, 0, 1>(flags, work);
    case Family::kAmsgrad:
      return chooseFlags<Family::kAmsgrad, kShared, 0, 1>(flags, work);
    case Family::kFirstMoment:
      return chooseFlags<Family::kFirstMoment, kShared, 0, 1>(flags, work);
    // Whoever made the plan has been asked for a family that there is.
    case Family::kGradient:
    case Family::kCount:
      break;
  }
  return chooseFlags<Family::kGradient, kShared, 0, 1>(flags, work);
}

void run(const Step& step, int64_t first, int64_t last) {
  constexpr int32_t kShared = kCoupled | kDecoupled | kAgreement | kPlain;
  choose<kShared>(step.family, step.flags, [&](auto rule) { decltype(rule)::run(step, first, last); });
}

void measure(const Measure& measure, int64_t first, int64_t count, Sums* sums) {
  choose<kCoupled>(measure.family, measure.flags, [&](auto rule) { decltype(rule)::measure(measure, first, count, sums); });
}

}  // namespace

extern const Form LRD_FORM;
const Form LRD_FORM = {run, measure};

}  // namespace lrd
