// What each instruction set has, and which of them this processor takes.
#ifndef LEARNING_RATE_DROPOUT_FORMS_H_
#define LEARNING_RATE_DROPOUT_FORMS_H_

#include "layers.h"
#include "products.h"
#include "step.h"
#include "winograd.h"

namespace lrd {

struct Forms {
  const Form& step;
  const layers::Form& layers;
  // Null where TensorFlow's own are better.
  const products::Form* products;
  const winograd::Form* winograd;
};

// The widest that this processor has, or those that LRD_INSTRUCTIONS (avx512, avx2, plain) names where it has them.
const Forms& forms();

}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_FORMS_H_
