// Products of matrices and 3 x 3 convolutions as operations, on this package's threads:
//
//     LearningRateDropoutLanes                -> lanes     numbers of a vector of their kernels; 0 where there are none, and TensorFlow's own are to be taken
//     LearningRateDropoutProduct              a, b[, bias] -> a b       `transpose_a`, `transpose_b`; the bias is added to each row; `clamp`: not less than 0 then
//     LearningRateDropoutConvolution          x, filter[, bias] -> y    stride 1, `pad` pixels on each side; `turned`: x is the gradient of an output, y that of its input
//     LearningRateDropoutConvolutionGradient  x, dy -> df               of the filter
//
// Pictures are [images, height, width, channels] with channels in multiples of winograd::kChannels, filters [3, 3, inputs, outputs]. No extent is 0. Sums are taken in an order
// that does not depend on how many threads there are.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "forms.h"
#include "pool.h"
#include "tensors.h"

namespace lrd {
namespace {

using products::Ahead;
using products::Finish;
using products::Left;
using products::Panel;
using winograd::Picture;
using winograd::kPoints;
using winograd::kTaps;

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Memory that a thread keeps for its next operation.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(values_); }

  float* take(size_t floats) {
    if (floats <= size_) return values_;
    constexpr size_t kLine = 64, kPage = size_t{2} << 20;
    const size_t wanted = floats * sizeof(float), unit = wanted < kPage ? kLine : kPage;
    const size_t bytes = (wanted + unit - 1) / unit * unit;
    std::free(values_);
    size_ = 0;
    values_ = static_cast<float*>(std::aligned_alloc(unit, bytes));
    if (values_ == nullptr) throw std::bad_alloc();
    size_ = bytes / sizeof(float);
#if defined(MADV_HUGEPAGE)
    if (unit == kPage) madvise(values_, bytes, MADV_HUGEPAGE);
#endif
    return values_;
  }

 private:
  float* values_ = nullptr;
  size_t size_ = 0;
};

float* scratch(size_t floats) {
  static thread_local Scratch own;
  return own.take(floats);
}

// What all threads read: the caller's, while they work.
float* shared(size_t floats) {
  static thread_local Scratch own;
  return own.take(floats);
}

// The panels of so many columns, for so many threads to share: whole ones, and then narrower ones, the widest first.
std::vector<Panel> panelsOf(int64_t columns, int64_t lanes, int64_t threads) {
  const int64_t vectors = ceiling(columns, lanes), share = ceiling(vectors, threads);
  std::vector<Panel> panels;
  for (int64_t from = 0; from < vectors; from += share) {
    const int64_t to = std::min(vectors, from + share);
    for (int64_t at = from; at < to; at += products::kVectors) panels.push_back({at * lanes, std::min(products::kVectors, to - at)});
  }
  std::stable_sort(panels.begin(), panels.end(), [](const Panel& a, const Panel& b) { return a.vectors > b.vectors; });
  return panels;
}

// Multiplications that one thread does while another wakes up.
constexpr int64_t kFew = int64_t{1} << 20;
// Of a panel, at most: its lines stay in the second cache.
constexpr int64_t kDepth = 1024;
// Lines of a panel, at most, beside which a tile's results are a good part of what it moves: the next tile's are asked for then, else the lines of a panel that come next.
constexpr int64_t kShort = 256;
// Rows that a thread takes at least, where there are fewer panels than threads.
constexpr int64_t kFewRows = 32;

// Of a product: [rows, depth] times [depth, columns].
struct Extents {
  int64_t rows, columns, depth;
};

struct Right {
  const float* values;
  int64_t lead;
  bool turned;
};

// Lines of a turned left-hand side that meet in few sets of a cache: so many numbers apart, or a multiple of that. It is packed by tiles then, unless it has few lines or is large.
constexpr int64_t kMeeting = 256;
constexpr int64_t kFewLines = 256;
constexpr int64_t kMostPacked = int64_t{1} << 22;
constexpr int64_t kPackedLines = 64;

// The left-hand side of a product by tiles: the `rows` numbers of each line beside each other.
float* packLeft(const products::Form& form, const Extents& size, const Left& left) {
  const int64_t tiles = ceiling(size.rows, form.rows), area = form.rows * size.depth;
  float* packed = shared(static_cast<size_t>(tiles * area));
  Pool::instance().each(static_cast<size_t>(ceiling(size.depth, kPackedLines)), Subnormals::kFlushed, [&](size_t unit) {
    const int64_t from = static_cast<int64_t>(unit) * kPackedLines, lines = std::min(kPackedLines, size.depth - from);
    for (int64_t t = 0; t < tiles; t++) {
      const int64_t row = t * form.rows, count = std::min(form.rows, size.rows - row);
      form.pack(left.values + from * left.apart + row, left.apart, false, lines, count, form.rows, packed + t * area + from * form.rows);
    }
  });
  return packed;
}

void multiply(const products::Form& form, const Extents& size, const Left& left, const Right& right, const float* bias, bool clamp, float* c) {
  // Not a structured binding: only GCC lets a lambda of C++17 have one.
  const int64_t rows = size.rows, columns = size.columns, depth = size.depth;
  const int64_t threads = rows * columns * depth < kFew ? 1 : static_cast<int64_t>(Pool::instance().threads());
  const std::vector<Panel> panels = panelsOf(columns, form.lanes, threads);
  const int64_t count = static_cast<int64_t>(panels.size());
  const int64_t chunks = threads == 1 || count >= 2 * threads ? 1 : std::min(ceiling(2 * threads, count), ceiling(rows, kFewRows));
  const int64_t chunk = ceiling(ceiling(rows, chunks), form.rows) * form.rows;
  const int64_t slice = ceiling(depth, ceiling(depth, kDepth));
  const bool packs = left.turned && left.apart % kMeeting == 0 && depth >= kFewLines && rows * depth <= kMostPacked;
  const float* tiles = packs ? packLeft(form, size, left) : nullptr;
  // The tile of rows from `row` on, its lines from `from` on.
  const auto leftOf = [&](int64_t row, int64_t from) -> Left {
    if (packs) return {tiles + row * depth + from * form.rows, form.rows, true};
    return {left.values + (left.turned ? from * left.apart + row : row * left.apart + from), left.apart, left.turned};
  };
  // Lines of a panel from `from` on.
  const auto linesOf = [&](const Panel& panel, int64_t from) -> Ahead {
    const int64_t there = std::min(panel.vectors * form.lanes, columns - panel.first), lines = std::min(slice, depth - from);
    if (right.turned) return {right.values + panel.first * right.lead + from, right.lead, lines, there, false, 0};
    return {right.values + from * right.lead + panel.first, right.lead, there, lines, false, 0};
  };
  const auto work = [&](size_t task) {
    const size_t number = task / static_cast<size_t>(chunks), later = number + static_cast<size_t>(threads);
    const Panel panel = panels[number];
    const int64_t first = static_cast<int64_t>(task) % chunks * chunk, last = std::min(rows, first + chunk);
    const int64_t width = panel.vectors * form.lanes, there = std::min(width, columns - panel.first);
    float* packed = scratch(static_cast<size_t>(slice * width));
    for (int64_t from = 0; from < depth && first < last; from += slice) {
      const int64_t lines = std::min(slice, depth - from);
      form.pack(linesOf(panel, from).row, right.lead, right.turned, lines, there, width, packed);
      const bool ends = from + lines == depth;
      Ahead ahead = !ends ? linesOf(panel, from + lines) : later < panels.size() ? linesOf(panels[later], 0) : Ahead{};
      const Finish finish{from > 0, ends && bias != nullptr ? bias + panel.first : nullptr, ends && clamp};
      for (int64_t row = first; row < last; row += form.rows) {
        if (lines <= kShort) ahead = {c + (row + form.rows) * columns + panel.first, columns, there, std::min(form.rows, last - row - form.rows), true, 0};
        form.tile(leftOf(row, from), packed, lines, panel.vectors, c + row * columns + panel.first, columns, std::min(form.rows, last - row), there, finish, &ahead);
      }
    }
  };
  const auto run = threads == 1 ? &Pool::alone : &Pool::each;
  (Pool::instance().*run)(static_cast<size_t>(count * chunks), Subnormals::kFlushed, work);
}

// Between matrices that are used one after the other: powers of two would meet in the same sets of a cache.
constexpr int64_t kGap = 16;

// A convolution of this kind, and how its result is cut into tiles.
struct Convolution {
  int64_t images, height, width, inputs, outputs, pad;
  int64_t resultHeight() const { return height + 2 * pad - 2; }
  int64_t resultWidth() const { return width + 2 * pad - 2; }
  int64_t across() const { return ceiling(resultWidth(), 2); }
  int64_t perImage() const { return ceiling(resultHeight(), 2) * across(); }
  int64_t tiles() const { return images * perImage(); }
};

// A tile's picture, and its corner in the result.
struct Tile {
  int64_t image, top, left;
};

Tile tileOf(const Convolution& shape, int64_t number) {
  const int64_t within = number % shape.perImage();
  return {number / shape.perImage(), 2 * (within / shape.across()), 2 * (within % shape.across())};
}

// Some channels of one of `height` x `width` pictures.
template <class Number>
Picture<Number> pictureOf(Number* values, int64_t height, int64_t width, int64_t channels, int64_t image, int64_t first) {
  return {values + image * height * width * channels + first, height, width, channels, width * channels};
}

// Numbers of the transformed tiles that a thread has in hand, and how many tiles those are at least.
constexpr int64_t kInHand = int64_t{1} << 17;
constexpr int64_t kFewTiles = 64;

int64_t tilesInHand(int64_t channels, int64_t tiles) {
  return std::min(tiles, std::max(kFewTiles, kInHand / (kPoints * channels) / 8 * 8));
}

// Lines of a turned filter that are transformed at once.
constexpr int64_t kLines = 8;
static_assert(winograd::kChannels % kLines == 0, "channels are whole such lines");

// The panels of a transformed filter: point after point, [inputs, width] each.
struct Transformed {
  std::vector<Panel> panels;
  std::vector<int64_t> starts, steps;
  float* values;
};

Transformed transformFilter(const Forms& forms, const Convolution& shape, const float* filter, bool turned) {
  const products::Form& form = *forms.products;
  const int64_t inputs = shape.inputs, outputs = shape.outputs, tap = inputs * outputs;
  Transformed made{panelsOf(outputs, form.lanes, 1), {}, {}, nullptr};
  int64_t floats = 0;
  for (const Panel& panel : made.panels) {
    made.starts.push_back(floats);
    made.steps.push_back(inputs * panel.vectors * form.lanes + kGap);
    floats += kPoints * made.steps.back();
  }
  made.values = shared(static_cast<size_t>(floats));
  Pool::instance().each(static_cast<size_t>(inputs / kLines), Subnormals::kFlushed, [&](size_t unit) {
    const int64_t line = static_cast<int64_t>(unit) * kLines;
    float block[kTaps * kLines * products::kVectors * winograd::kChannels];
    for (size_t p = 0; p < made.panels.size(); p++) {
      const Panel panel = made.panels[p];
      const int64_t width = panel.vectors * form.lanes, square = kLines * width;
      float* to = made.values + made.starts[p] + line * width;
      for (int64_t t = 0; turned && t < kTaps; t++) {
        // Turned by 180 degrees: the last tap comes first.
        form.pack(filter + (kTaps - 1 - t) * tap + panel.first * inputs + line, inputs, true, kLines, width, width, block + t * square);
      }
      for (int64_t k = 0; k < kLines; k++) {
        const float* from = turned ? block + k * width : filter + (line + k) * outputs + panel.first;
        forms.winograd->filter(from, turned ? square : tap, width, to + k * width, made.steps[p]);
      }
    }
  });
  return made;
}

// Winograd's sums make NaN of an infinity where the definition does not: who asked goes by that then.
void requireFinite(const std::atomic<bool>& finite) {
  if (!finite) throw Failure{TF_OUT_OF_RANGE, "a convolution is not finite"};
}

void convolve(const Forms& forms, const Convolution& shape, const float* x, const float* filter, bool turned, const float* bias, bool clamp, float* y) {
  const products::Form& form = *forms.products;
  const Transformed transformed = transformFilter(forms, shape, filter, turned);
  const int64_t tiles = shape.tiles(), inputs = shape.inputs, outputs = shape.outputs;
  const int64_t block = tilesInHand(inputs + outputs, tiles), blocks = ceiling(tiles, block);
  // Where there are few blocks they are shared by panels: each thread transforms the pictures anew.
  const int64_t count = static_cast<int64_t>(transformed.panels.size()), threads = static_cast<int64_t>(Pool::instance().threads());
  const int64_t slices = std::min(count, ceiling(threads, blocks)), panels = ceiling(count, slices);
  std::atomic<bool> finite{true};
  Pool::instance().each(static_cast<size_t>(blocks * slices), Subnormals::kFlushed, [&](size_t task) {
    const int64_t first = static_cast<int64_t>(task) / slices * block, own = std::min(block, tiles - first);
    const int64_t from = static_cast<int64_t>(task) % slices * panels, to = std::min(count, from + panels);
    if (from >= to) return;
    const int64_t widest = transformed.panels[static_cast<size_t>(from)].vectors * form.lanes, step = own * inputs + kGap, resultStep = own * widest + kGap;
    float* v = scratch(static_cast<size_t>(kPoints * (step + resultStep)));
    float* m = v + kPoints * step;
    for (int64_t i = 0; i < own; i++) {
      const Tile tile = tileOf(shape, first + i);
      const auto picture = pictureOf(x, shape.height, shape.width, inputs, tile.image, 0);
      forms.winograd->image(picture, tile.top - shape.pad, tile.left - shape.pad, inputs, v + i * inputs, step);
    }
    for (int64_t p = from; p < to; p++) {
      const Panel panel = transformed.panels[static_cast<size_t>(p)];
      const int64_t width = panel.vectors * form.lanes;
      for (int64_t point = 0; point < kPoints; point++) {
        const float* packed = transformed.values + transformed.starts[static_cast<size_t>(p)] + point * transformed.steps[static_cast<size_t>(p)];
        for (int64_t row = 0; row < own; row += form.rows) {
          const Left left{v + point * step + row * inputs, inputs, false};
          form.tile(left, packed, inputs, panel.vectors, m + point * resultStep + row * width, width, std::min(form.rows, own - row), width, {false, nullptr, false}, nullptr);
        }
      }
      for (int64_t i = 0; i < own; i++) {
        const Tile tile = tileOf(shape, first + i);
        const auto picture = pictureOf(y, shape.resultHeight(), shape.resultWidth(), outputs, tile.image, panel.first);
        const bool all = forms.winograd->result(m + i * width, resultStep, width, picture, tile.top, tile.left, bias == nullptr ? nullptr : bias + panel.first, clamp);
        if (!all) finite = false;
      }
    }
  });
  requireFinite(finite);
}

// Numbers of the sums that are taken side by side, and how many of them there are at most.
constexpr int64_t kSideBySide = int64_t{1} << 21;
constexpr int64_t kMostParts = 8;

void convolutionGradient(const Forms& forms, const Convolution& shape, const float* x, const float* dy, float* df) {
  const products::Form& form = *forms.products;
  const int64_t tiles = shape.tiles(), inputs = shape.inputs, outputs = shape.outputs, threads = static_cast<int64_t>(Pool::instance().threads());
  const int64_t step = inputs * outputs + kGap, part = kPoints * step;
  const std::vector<Panel> panels = panelsOf(outputs, form.lanes, 1);
  // Parts of the tiles, each with sums of its own: by sizes alone, so that sums have the same order with any number of threads. These share a part by its inputs.
  const int64_t parts = std::max(int64_t{1}, std::min({kMostParts, kSideBySide / part, ceiling(tiles, kFewTiles)}));
  const int64_t units = inputs / winograd::kChannels;
  const int64_t slices = std::min(units, ceiling(threads, parts)), slice = ceiling(units, slices) * winograd::kChannels;
  float* sums = shared(static_cast<size_t>(parts * part));
  Pool::instance().each(static_cast<size_t>(parts * slices), Subnormals::kFlushed, [&](size_t task) {
    const int64_t number = static_cast<int64_t>(task) / slices;
    const int64_t from = static_cast<int64_t>(task) % slices * slice, own = std::min(slice, inputs - from);
    if (own <= 0) return;
    const int64_t begin = tiles * number / parts, end = tiles * (number + 1) / parts;
    // By sizes alone too, whatever this thread's share of the inputs is.
    const int64_t block = tilesInHand(inputs + outputs, end - begin), imageStep = block * own + kGap, slopeStep = block * outputs + kGap;
    float* v = scratch(static_cast<size_t>(kPoints * (imageStep + slopeStep)));
    float* w = v + kPoints * imageStep;
    for (int64_t first = begin; first < end; first += block) {
      const int64_t there = std::min(block, end - first);
      for (int64_t i = 0; i < there; i++) {
        const Tile tile = tileOf(shape, first + i);
        const auto picture = pictureOf(x, shape.height, shape.width, inputs, tile.image, from);
        forms.winograd->image(picture, tile.top - shape.pad, tile.left - shape.pad, own, v + i * own, imageStep);
        for (const Panel& panel : panels) {
          const int64_t width = panel.vectors * form.lanes;
          const auto above = pictureOf(dy, shape.resultHeight(), shape.resultWidth(), outputs, tile.image, panel.first);
          forms.winograd->slope(above, tile.top, tile.left, width, w + panel.first * block + i * width, slopeStep);
        }
      }
      for (int64_t point = 0; point < kPoints; point++) {
        float* to = sums + number * part + point * step + from * outputs;
        for (const Panel& panel : panels) {
          const int64_t width = panel.vectors * form.lanes;
          for (int64_t row = 0; row < own; row += form.rows) {
            Ahead ahead{to + (row + form.rows) * outputs + panel.first, outputs, width, row + form.rows < own ? form.rows : 0, true, 0};
            const Left left{v + point * imageStep + row, own, true};
            form.tile(left, w + point * slopeStep + panel.first * block, there, panel.vectors, to + row * outputs + panel.first, outputs, form.rows, width, {first > begin, nullptr, false}, &ahead);
          }
        }
      }
    }
  });
  std::atomic<bool> finite{true};
  Pool::instance().each(static_cast<size_t>(inputs / kLines), Subnormals::kFlushed, [&](size_t unit) {
    for (int64_t c = static_cast<int64_t>(unit) * kLines, last = c + kLines; c < last; c++) {
      if (!forms.winograd->gradient(sums + c * outputs, step, parts, part, outputs, df + c * outputs, inputs * outputs)) finite = false;
    }
  });
  requireFinite(finite);
}

// An operation's attributes.
struct Attributes {
  bool transposeA = false, transposeB = false, clamp = false, turned = false;
  int64_t pad = 0;
};

void* attributesOf(TF_OpKernelConstruction* construction, const std::vector<std::pair<const char*, bool Attributes::*>>& flags, bool padded) {
  Status status(TF_NewStatus());
  auto* made = new Attributes();
  for (const auto& [name, flag] : flags) {
    TF_Bool value = 0;
    TF_OpKernelConstruction_GetAttrBool(construction, name, &value, status.get());
    made->*flag = value != 0;
  }
  if (padded) TF_OpKernelConstruction_GetAttrInt64(construction, "pad", &made->pad, status.get());
  return made;
}

void* productAttributes(TF_OpKernelConstruction* construction) {
  return attributesOf(construction, {{"transpose_a", &Attributes::transposeA}, {"transpose_b", &Attributes::transposeB}, {"clamp", &Attributes::clamp}}, false);
}

void* convolutionAttributes(TF_OpKernelConstruction* construction) {
  return attributesOf(construction, {{"turned", &Attributes::turned}, {"clamp", &Attributes::clamp}}, true);
}

void* gradientAttributes(TF_OpKernelConstruction* construction) { return attributesOf(construction, {}, true); }

void destroyAttributes(void* attributes) { delete static_cast<Attributes*>(attributes); }

// The bias behind two other inputs, where there is one.
const float* biasOf(TF_OpKernelContext* context, Tensor& holder, int64_t columns) {
  constexpr int kBias = 2;
  if (TF_NumInputs(context) <= kBias) return nullptr;
  holder = input(context, kBias);
  require(TF_TensorElementCount(holder.get()) == columns, "a bias must have a number for each column");
  return floatsOf(holder);
}

const Forms& formsWithProducts() {
  require(forms().products != nullptr, "this processor has no such kernels");
  return forms();
}

void lanes(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const Tensor made = allocate(TF_INT32, {}, sizeof(int32_t));
    *static_cast<int32_t*>(TF_TensorData(made.get())) = forms().products == nullptr ? 0 : static_cast<int32_t>(forms().products->lanes);
    output(context, 0, made);
  });
}

void product(void* given, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const auto& attributes = *static_cast<const Attributes*>(given);
    const Tensor a = input(context, 0), b = input(context, 1);
    require(TF_NumDims(a.get()) == 2 && TF_NumDims(b.get()) == 2, "products are of matrices");
    const auto [turnA, turnB] = std::pair(attributes.transposeA, attributes.transposeB);
    const Extents size{TF_Dim(a.get(), turnA ? 1 : 0), TF_Dim(b.get(), turnB ? 0 : 1), TF_Dim(a.get(), turnA ? 0 : 1)};
    require(TF_Dim(b.get(), turnB ? 1 : 0) == size.depth, "the inner extents of a product must be the same");
    require(size.rows > 0 && size.columns > 0 && size.depth > 0, "a product must not be empty");
    Tensor holder;
    const float* bias = biasOf(context, holder, size.columns);
    const Tensor made = allocateFloats({size.rows, size.columns});
    const Left left{floatsOf(a), TF_Dim(a.get(), 1), turnA};
    const Right right{floatsOf(b), TF_Dim(b.get(), 1), turnB};
    multiply(*formsWithProducts().products, size, left, right, bias, attributes.clamp, placeOf(made));
    output(context, 0, made);
  });
}

// What a convolution of [images, height, width, inputs] is; throws unless its transforms can take it.
Convolution convolutionOf(const std::vector<int64_t>& x, int64_t outputs, int64_t pad) {
  require(x.size() == 4 && pad >= 0 && pad <= 2, "x must be [images, height, width, channels], and pad 0, 1 or 2");
  const Convolution shape{x[0], x[1], x[2], x[3], outputs, pad};
  require(shape.images > 0 && shape.inputs > 0 && outputs > 0 && shape.inputs % winograd::kChannels == 0 && outputs % winograd::kChannels == 0,
          "channels must be multiples of 16");
  require(shape.resultHeight() > 0 && shape.resultWidth() > 0, "a picture must not be smaller than the filter");
  return shape;
}

void convolution(void* given, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const auto& attributes = *static_cast<const Attributes*>(given);
    const Tensor x = input(context, 0), filter = input(context, 1);
    const std::vector<int64_t> taps = shapeOf(filter);
    require(taps.size() == 4 && taps[0] == 3 && taps[1] == 3, "a filter must be [3, 3, inputs, outputs]");
    const Convolution shape = convolutionOf(shapeOf(x), taps[attributes.turned ? 2 : 3], attributes.pad);
    require(taps[attributes.turned ? 3 : 2] == shape.inputs, "a filter must have the channels of its pictures");
    Tensor holder;
    const float* bias = biasOf(context, holder, shape.outputs);
    const Tensor made = allocateFloats({shape.images, shape.resultHeight(), shape.resultWidth(), shape.outputs});
    convolve(formsWithProducts(), shape, floatsOf(x), floatsOf(filter), attributes.turned, bias, attributes.clamp, placeOf(made));
    output(context, 0, made);
  });
}

void filterGradient(void* given, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const auto& attributes = *static_cast<const Attributes*>(given);
    const Tensor x = input(context, 0), dy = input(context, 1);
    const std::vector<int64_t> above = shapeOf(dy);
    require(above.size() == 4, "dy must be [images, height, width, channels]");
    const Convolution shape = convolutionOf(shapeOf(x), above[3], attributes.pad);
    require(above[0] == shape.images && above[1] == shape.resultHeight() && above[2] == shape.resultWidth(), "dy must be of the shape of the result");
    const Tensor made = allocateFloats({3, 3, shape.inputs, shape.outputs});
    convolutionGradient(formsWithProducts(), shape, floatsOf(x), floatsOf(dy), placeOf(made));
    output(context, 0, made);
  });
}

[[maybe_unused]] const bool registered = [] {
  registerOperation("LearningRateDropoutLanesV" LRD_VERSION, {}, {}, {"lanes: int32"}, {lanes});
  registerOperation("LearningRateDropoutProductV" LRD_VERSION, {"M: int >= 0", "transpose_a: bool", "transpose_b: bool", "clamp: bool"}, {"a: float", "b: float", "bias: M * float"},
                    {"product: float"}, {product, productAttributes, destroyAttributes});
  registerOperation("LearningRateDropoutConvolutionV" LRD_VERSION, {"M: int >= 0", "pad: int", "turned: bool", "clamp: bool"}, {"x: float", "filter: float", "bias: M * float"},
                    {"y: float"}, {convolution, convolutionAttributes, destroyAttributes});
  registerOperation("LearningRateDropoutConvolutionGradientV" LRD_VERSION, {"pad: int"}, {"x: float", "dy: float"}, {"df: float"}, {filterGradient, gradientAttributes, destroyAttributes});
  return true;
}();

}  // namespace
}  // namespace lrd
