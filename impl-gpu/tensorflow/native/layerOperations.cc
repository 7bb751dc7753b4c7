// The passes of layers.h as operations:
//
//     LearningRateDropoutBias       values, bias -> values    in place: the caller must be the only owner of the first
//     LearningRateDropoutClamp      the same, clamped at 0
//     LearningRateDropoutSlope      dy, y -> dz
//     LearningRateDropoutSlopeSums  dy, y -> dz, its sums over all axes but the last
#include <algorithm>
#include <functional>
#include <vector>

#include "forms.h"
#include "pool.h"
#include "tensors.h"

namespace lrd {
namespace {

// Elements that a thread takes at once; below twice as many, calling another one takes longer than they do.
constexpr int64_t kPortion = int64_t{1} << 15;

// Calls work(i) for every i below count: portions of so many elements in all.
void eachOf(int64_t count, int64_t elements, const std::function<void(int64_t)>& work) {
  if (elements >= 2 * kPortion) {
    Pool::instance().each(static_cast<size_t>(count), Subnormals::kKept, [&](size_t i) { work(static_cast<int64_t>(i)); });
    return;
  }
  for (int64_t i = 0; i < count; i++) work(i);
}

int64_t portionsOf(int64_t elements, int64_t of) { return (elements + of - 1) / of; }

template <bool kClamp>
void bias(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const Tensor tensor = input(context, 0), given = input(context, 1);
    floatsOf(tensor);
    const float* row = floatsOf(given);
    float* values = placeOf(tensor);
    const int64_t elements = TF_TensorElementCount(tensor.get()), columns = TF_TensorElementCount(given.get());
    require(elements == 0 || (columns > 0 && elements % columns == 0), "a bias must be of whole rows");
    if (elements == columns) {
      eachOf(portionsOf(elements, kPortion), elements, [&](int64_t i) {
        const int64_t first = i * kPortion;
        forms().layers.bias(values + first, row + first, 1, std::min(kPortion, elements - first), kClamp);
      });
    } else {
      const int64_t rows = elements / columns, each = std::max(int64_t{1}, kPortion / columns);
      eachOf(portionsOf(rows, each), elements, [&](int64_t i) {
        const int64_t first = i * each;
        forms().layers.bias(values + first * columns, row, std::min(each, rows - first), columns, kClamp);
      });
    }
    output(context, 0, tensor);
  });
}

// The slope of a clamp, and its sums by columns where they are asked for.
void slopeAndSums(const float* dy, const float* y, float* dz, float* total, int64_t elements, int64_t columns) {
  const int64_t rows = elements == 0 ? 0 : elements / columns, groups = portionsOf(rows, layers::kRows);
  std::vector<float> partial(static_cast<size_t>(groups * columns));
  eachOf(groups, elements, [&](int64_t i) {
    const int64_t first = i * layers::kRows, at = first * columns;
    forms().layers.slope(dy + at, y + at, dz + at, partial.data() + i * columns, std::min(layers::kRows, rows - first), columns);
  });
  std::fill(total, total + columns, 0.0f);
  for (int64_t i = 0; i < groups; i++) {
    for (int64_t c = 0; c < columns; c++) total[c] += partial[static_cast<size_t>(i * columns + c)];
  }
}

template <bool kSums>
void slope(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const Tensor above = input(context, 0), clamped = input(context, 1);
    const float* dy = floatsOf(above);
    const float* y = floatsOf(clamped);
    const int64_t elements = TF_TensorElementCount(clamped.get());
    require(TF_TensorElementCount(above.get()) == elements, "dy and y must have as many elements");
    const Tensor made = blankOf(clamped);
    float* dz = placeOf(made);
    if (kSums) {
      const int rank = TF_NumDims(clamped.get());
      require(rank > 0, "y must have an axis to keep");
      const int64_t columns = TF_Dim(clamped.get(), rank - 1);
      const Tensor sums = allocateFloats({columns});
      slopeAndSums(dy, y, dz, placeOf(sums), elements, columns);
      output(context, 1, sums);
    } else {
      eachOf(portionsOf(elements, kPortion), elements, [&](int64_t i) {
        const int64_t first = i * kPortion;
        forms().layers.slope(dy + first, y + first, dz + first, nullptr, 1, std::min(kPortion, elements - first));
      });
    }
    output(context, 0, made);
  });
}

[[maybe_unused]] const bool registered = [] {
  registerOperation("LearningRateDropoutBiasV" LRD_VERSION, {}, {"values: float", "bias: float"}, {"biased: float"}, {bias<false>});
  registerOperation("LearningRateDropoutClampV" LRD_VERSION, {}, {"values: float", "bias: float"}, {"biased: float"}, {bias<true>});
  registerOperation("LearningRateDropoutSlopeV" LRD_VERSION, {}, {"dy: float", "y: float"}, {"dz: float"}, {slope<false>});
  registerOperation("LearningRateDropoutSlopeSumsV" LRD_VERSION, {}, {"dy: float", "y: float"}, {"dz: float", "sums: float"}, {slope<true>});
  return true;
}();

}  // namespace
}  // namespace lrd
