// What the operations (productOperations.cc) hand to the products of matrices (products.cc).
#ifndef LEARNING_RATE_DROPOUT_PRODUCTS_H_
#define LEARNING_RATE_DROPOUT_PRODUCTS_H_

#include <cstdint>

namespace lrd {
namespace products {

// Vectors of a panel, at most.
constexpr int64_t kVectors = 3;

// Columns [first, first + vectors * lanes) of the right-hand side, of which those beyond its end are zeros: line after line of `vectors` vectors.
struct Panel {
  int64_t first, vectors;
};

// The left-hand side: element (row, k) of a product stands at values[row * apart + k], or where `turned` at values[k * apart + row].
struct Left {
  const float* values;
  int64_t apart;
  bool turned;
};

// What becomes of a tile's sums.
struct Finish {
  // They are added to what is there; else they take its place.
  bool onto;
  // What is added to each row then, where it is not null.
  const float* bias;
  // Not less than 0 then; NaN stays NaN.
  bool clamp;
};

// What a tile asks for ahead of its use while it computes, some lines of a cache at a time: `rows` rows of `width` numbers, `lead` apart. Matrices come from memory in stretches
// that no processor foresees.
struct Ahead {
  const float* row;
  int64_t lead, width, rows;
  // To be written.
  bool written;
  // Of the first row, what has been asked for.
  int64_t done;
};

// What an instruction set has.
struct Form {
  // Rows of a tile, and numbers of a vector.
  int64_t rows, lanes;
  // to[k * width + j] = from[k * lead + j], or where `turned` from[j * lead + k], for k < depth and j < count; zeros for j from `count` on.
  void (*pack)(const float* from, int64_t lead, bool turned, int64_t depth, int64_t count, int64_t width, float* to);
  // c[r * lead + j] for r < count, at most `rows`, and j < columns: the sum over k < depth, in order, of left (r, k) times panel[k][j].
  // `ahead`, where it is not null, goes on by as much as there is time for.
  void (*tile)(const Left& left, const float* panel, int64_t depth, int64_t vectors, float* c, int64_t lead, int64_t count, int64_t columns,
               const Finish& finish, Ahead* ahead);
};

}  // namespace products
}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_PRODUCTS_H_
