#include "forms.h"

#include <cstdlib>
#include <string>

namespace lrd {

extern const Form plain;
namespace layers {
extern const Form plain;
}

#if defined(__x86_64__)
extern const Form avx512;
extern const Form avx2;
namespace layers {
extern const Form avx512;
extern const Form avx2;
}  // namespace layers
namespace products {
extern const Form avx512;
extern const Form avx2;
}  // namespace products
namespace winograd {
extern const Form avx512;
extern const Form avx2;
}  // namespace winograd
#endif

namespace {

Forms choose() {
#if defined(__x86_64__)
  const char* named = std::getenv("LRD_INSTRUCTIONS");
  const std::string wanted = named == nullptr ? "" : named;
  const bool any = wanted != "avx512" && wanted != "avx2" && wanted != "plain";
  __builtin_cpu_init();
  if ((any || wanted == "avx512") && __builtin_cpu_supports("avx512f")) return {avx512, layers::avx512, &products::avx512, &winograd::avx512};
  if ((any || wanted == "avx2") && __builtin_cpu_supports("avx2")) {
    const bool fused = __builtin_cpu_supports("fma");
    return {avx2, layers::avx2, fused ? &products::avx2 : nullptr, fused ? &winograd::avx2 : nullptr};
  }
#endif
  return {plain, layers::plain, nullptr, nullptr};
}

}  // namespace

const Forms& forms() {
  static const Forms chosen = choose();
  return chosen;
}

}  // namespace lrd
