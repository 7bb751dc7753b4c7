// The fused step: Philox4x32-10 (Salmon et al., SC 2011), the rule's recurrence and the select, one pass over a tensor. Compiled once
// for each instruction set, with LRD_RUN naming the function and LRD_LANES the width of a vector; no multiply and add is contracted, so
// that every width, and every other engine of this package, has the same bits.
#include <cstring>
#include <type_traits>

#if defined(__AVX2__)
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

template <class Vector, class Element>
LRD_INLINE void store(Element* to, const Vector& value) {
  std::memcpy(to, &value, sizeof value);
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

// Low and high words of a * by.
LRD_INLINE void multiply(Words a, uint32_t by, Words& low, Words& high) {
#if LRD_LANES == 16 && defined(__AVX512F__)
  const __m512i x = (__m512i)a, y = _mm512_set1_epi32(by);
  const __m512i even = _mm512_mul_epu32(x, y), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), y);
  low = (Words)_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
  high = (Words)_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
#elif LRD_LANES == 8 && defined(__AVX2__)
  const __m256i x = (__m256i)a, y = _mm256_set1_epi32(by);
  const __m256i even = _mm256_mul_epu32(x, y), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), y);
  low = (Words)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
  high = (Words)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
#else
  for (int i = 0; i < LRD_LANES; i++) {
    const uint64_t product = uint64_t{a[i]} * by;
    low[i] = static_cast<uint32_t>(product);
    high[i] = static_cast<uint32_t>(product >> 32);
  }
#endif
}

// Word w of block i goes to out[4 * i + w].
LRD_INLINE void interleave(const Words (&words)[4], uint32_t* out) {
#if LRD_LANES == 16 && defined(__AVX512F__)
  const __m512i a = (__m512i)words[0], b = (__m512i)words[1], c = (__m512i)words[2], d = (__m512i)words[3];
  const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
  // In quarter q of each: blocks 4 q to 4 q + 3.
  const __m512i rows[4] = {_mm512_unpacklo_epi64(ab_low, cd_low), _mm512_unpackhi_epi64(ab_low, cd_low),
                           _mm512_unpacklo_epi64(ab_high, cd_high), _mm512_unpackhi_epi64(ab_high, cd_high)};
  const __m512i even_low = _mm512_shuffle_i32x4(rows[0], rows[1], 0x44), even_high = _mm512_shuffle_i32x4(rows[0], rows[1], 0xee);
  const __m512i odd_low = _mm512_shuffle_i32x4(rows[2], rows[3], 0x44), odd_high = _mm512_shuffle_i32x4(rows[2], rows[3], 0xee);
  _mm512_storeu_si512(out, _mm512_shuffle_i32x4(even_low, odd_low, 0x88));
  _mm512_storeu_si512(out + 16, _mm512_shuffle_i32x4(even_low, odd_low, 0xdd));
  _mm512_storeu_si512(out + 32, _mm512_shuffle_i32x4(even_high, odd_high, 0x88));
  _mm512_storeu_si512(out + 48, _mm512_shuffle_i32x4(even_high, odd_high, 0xdd));
#elif LRD_LANES == 8 && defined(__AVX2__)
  const __m256i a = (__m256i)words[0], b = (__m256i)words[1], c = (__m256i)words[2], d = (__m256i)words[3];
  const __m256i ab_low = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
  const __m256i cd_low = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
  // Blocks 0 and 4, 1 and 5, 2 and 6, 3 and 7.
  const __m256i rows[4] = {_mm256_unpacklo_epi64(ab_low, cd_low), _mm256_unpackhi_epi64(ab_low, cd_low),
                           _mm256_unpacklo_epi64(ab_high, cd_high), _mm256_unpackhi_epi64(ab_high, cd_high)};
  __m256i* to = reinterpret_cast<__m256i*>(out);
  _mm256_storeu_si256(to, _mm256_permute2x128_si256(rows[0], rows[1], 0x20));
  _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(rows[2], rows[3], 0x20));
  _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(rows[0], rows[1], 0x31));
  _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(rows[2], rows[3], 0x31));
#else
  for (int i = 0; i < LRD_LANES; i++) {
    for (int w = 0; w < 4; w++) out[4 * i + w] = words[w][i];
  }
#endif
}

// Elements of a block, and of all blocks that are drawn at once.
constexpr int kPerBlock = 8;
constexpr int kPerDraw = kPerBlock * LRD_LANES;
// Elements whose mask is drawn before they are stepped: two KiB of halves, which stay in the first cache.
constexpr int kChunk = 1024;
static_assert(kChunk % kPerDraw == 0, "a chunk is a whole number of draws");

// The 16-bit halves of the blocks from `block` on, for at least `count` elements: word by word, the low half first.
__attribute__((noinline)) void draw(const Step& step, uint64_t block, int count, uint32_t* out) {
  Words lane;
  for (int i = 0; i < LRD_LANES; i++) lane[i] = i;
  for (int done = 0; done < count; done += kPerDraw, block += LRD_LANES, out += 4 * LRD_LANES) {
    const Words start = (Words){} + static_cast<uint32_t>(block);
    Words words[4] = {start + lane, (Words){} + static_cast<uint32_t>(block >> 32), (Words){} + step.step, (Words){}};
    // Where the low word passes 2^32 its lanes belong to the next high word.
    words[1] += (Words)(words[0] < start) & 1u;
    uint32_t key[2] = {step.key[0], step.key[1]};
    for (int round = 0; round < 10; round++) {
      Words low[2], high[2];
      multiply(words[0], 0xd2511f53u, low[0], high[0]);
      multiply(words[2], 0xcd9e8d57u, low[1], high[1]);
      const Words first = high[1] ^ words[1] ^ key[0], third = high[0] ^ words[3] ^ key[1];
      words[0] = first;
      words[1] = low[1];
      words[2] = third;
      words[3] = low[0];
      key[0] += 0x9e3779b9u;
      key[1] += 0xbb67ae85u;
    }
    interleave(words, out);
  }
}

// Arrays of one vector's elements, as a kernel takes them.
struct Place {
  float* parameter;
  const float* gradient;
  float* state[kMostState];
};

template <Family kFamily, int32_t kFlags>
struct Rule {
  static constexpr int kState = kFamily == Family::kGradient   ? 0
                                : kFamily == Family::kMomentum ? 1
                                : kFamily == Family::kRmsprop  ? 1 + !!(kFlags & kCentered) + !!(kFlags & kBuffered)
                                : kFamily == Family::kAmsgrad  ? 3
                                                               : 2;

  // Steps one vector. `kept` has all bits of an element set, or none.
  static LRD_INLINE void step(const Scalars& s, const Place& at, const Ints* kept) {
    const Floats old = load<Floats>(at.parameter);
    Floats g = load<Floats>(at.gradient);
    if (kFlags & kCoupled) g = g + s.decay * old;
    const Floats delta = direction(s, at, g);
    const Floats moved = s.rate * delta;
    const Floats next = old - ((kFlags & kDecoupled) ? s.shrink * old + moved : moved);
    if (kept == nullptr) {
      store(at.parameter, next);
    } else {
      store(at.parameter, (Ints)(((Ints)next & *kept) | ((Ints)old & ~*kept)));
    }
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

  static LRD_INLINE Floats direction(const Scalars& s, const Place& at, Floats g) {
    if constexpr (kFamily == Family::kGradient) {
      return g;
    } else if constexpr (kFamily == Family::kMomentum) {
      const Floats buf = first(s, at.state[0], g);
      return (kFlags & kNesterov) ? g + s.momentum * buf : buf;
    } else if constexpr (kFamily == Family::kRmsprop) {
      Floats spread = second(s, at.state[0], g);
      if (kFlags & kCentered) {
        const Floats mean = first(s, at.state[1], g);
        spread = max(spread - mean * mean, (Floats){});
      }
      const Floats ratio = (kFlags & kInside) ? g / sqrt(spread + s.epsilon) : g / (sqrt(spread) + s.epsilon);
      if (!(kFlags & kBuffered)) return ratio;
      float* at_buf = at.state[(kFlags & kCentered) ? 2 : 1];
      const Floats buf = s.momentum * load<Floats>(at_buf) + ratio;
      store(at_buf, buf);
      return buf;
    } else {
      const Floats m = first(s, at.state[0], g);
      const Floats v = second(s, at.state[1], g);
      if constexpr (kFamily == Family::kFirstMoment) return m;
      Floats square = v;
      if constexpr (kFamily == Family::kAmsgrad) {
        square = max(load<Floats>(at.state[2]), s.max_scale * v);
        store(at.state[2], square);
      }
      return m / (sqrt(square) + s.epsilon);
    }
  }

  // `halves`: the draws of these elements; null keeps all.
  static LRD_INLINE void elements(const Step& step, int64_t first, int count, const uint16_t* halves) {
    const auto kept = [&](const uint16_t* from) -> Ints {
      return __builtin_convertvector(load<Halves>(from), Ints) < step.threshold;
    };
    int done = 0;
    for (; done + LRD_LANES <= count; done += LRD_LANES) {
      Place at{step.parameter + first + done, step.gradient + first + done, {}};
      for (int k = 0; k < kState; k++) at.state[k] = step.state[k] + first + done;
      if (halves == nullptr) {
        Rule::step(step.scalars, at, nullptr);
      } else {
        const Ints mask = kept(halves + done);
        Rule::step(step.scalars, at, &mask);
      }
    }
    if (done == count) return;
    // The last ones in a vector of their own.
    const size_t bytes = sizeof(float) * static_cast<size_t>(count - done);
    float parameter[LRD_LANES] = {}, gradient[LRD_LANES] = {}, state[kMostState][LRD_LANES] = {};
    std::memcpy(parameter, step.parameter + first + done, bytes);
    std::memcpy(gradient, step.gradient + first + done, bytes);
    Place at{parameter, gradient, {}};
    for (int k = 0; k < kState; k++) {
      std::memcpy(state[k], step.state[k] + first + done, bytes);
      at.state[k] = state[k];
    }
    if (halves == nullptr) {
      Rule::step(step.scalars, at, nullptr);
    } else {
      const Ints mask = kept(halves + done);
      Rule::step(step.scalars, at, &mask);
    }
    std::memcpy(step.parameter + first + done, parameter, bytes);
    for (int k = 0; k < kState; k++) std::memcpy(step.state[k] + first + done, state[k], bytes);
  }

  static void run(const Step& step, int64_t first, int64_t last) {
    if (step.threshold == kKeepAll) {
      for (; first < last; first += kChunk) {
        elements(step, first, static_cast<int>(last - first < kChunk ? last - first : kChunk), nullptr);
      }
      return;
    }
    // One vector more, which the last elements may read.
    alignas(64) uint32_t words[kChunk / 2 + LRD_LANES];
    for (; first < last; first += kChunk) {
      const int count = static_cast<int>(last - first < kChunk ? last - first : kChunk);
      draw(step, step.block + static_cast<uint64_t>(first / kPerBlock), count, words);
      elements(step, first, count, reinterpret_cast<const uint16_t*>(words));
    }
  }
};

// The flags that a family has, beside those of the decay.
constexpr int32_t flagsOf(Family family) {
  return family == Family::kMomentum ? kNesterov : family == Family::kRmsprop ? kCentered | kInside | kBuffered : 0;
}

// Turns the flags of a step into those of a type, a bit at a time.
template <Family kFamily, int32_t kFlags, int32_t kBit>
void choose(const Step& step, int64_t first, int64_t last) {
  if constexpr (kBit > kAllFlags) {
    Rule<kFamily, kFlags>::run(step, first, last);
  } else if constexpr ((kBit & (kCoupled | kDecoupled | flagsOf(kFamily))) != 0) {
    if (step.flags & kBit) {
      choose<kFamily, kFlags | kBit, 2 * kBit>(step, first, last);
    } else {
      choose<kFamily, kFlags, 2 * kBit>(step, first, last);
    }
  } else {
    choose<kFamily, kFlags, 2 * kBit>(step, first, last);
  }
}

}  // namespace

void LRD_RUN(const Step& step, int64_t first, int64_t last) {
  switch (step.family) {
    case Family::kGradient:
      return choose<Family::kGradient, 0, 1>(step, first, last);
    case Family::kMomentum:
      return choose<Family::kMomentum, 0, 1>(step, first, last);
    case Family::kRmsprop:
      return choose<Family::kRmsprop, 0, 1>(step, first, last);
    case Family::kAdam:
      return choose<Family::kAdam, 0, 1>(step, first, last);
    case Family::kAmsgrad:
      return choose<Family::kAmsgrad, 0, 1>(step, first, last);
    case Family::kFirstMoment:
      return choose<Family::kFirstMoment, 0, 1>(step, first, last);
    case Family::kCount:
      return;
  }
}

}  // namespace lrd
