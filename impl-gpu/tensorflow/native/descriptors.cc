// dup and dup2 for Node, which has neither: with them `quiet.ts` puts stderr back as it was, whatever it is. No part of the other addon, which brings the
// library that must be kept quiet as it loads.

#include <node_api.h>
#include <unistd.h>

namespace {

// The arguments, whole numbers; false where one is missing or none.
bool numbers(napi_env env, napi_callback_info info, size_t count, int32_t* values) {
  napi_value given[2];
  size_t length = 2;
  if (napi_get_cb_info(env, info, &length, given, nullptr, nullptr) != napi_ok || length < count) return false;
  for (size_t i = 0; i < count; i++) {
    if (napi_get_value_int32(env, given[i], &values[i]) != napi_ok) return false;
  }
  return true;
}

napi_value result(napi_env env, int32_t number) {
  napi_value value = nullptr;
  napi_create_int32(env, number, &value);
  return value;
}

napi_value Dup(napi_env env, napi_callback_info info) {
  int32_t values[2];
  return result(env, numbers(env, info, 1, values) ? dup(values[0]) : -1);
}

napi_value Dup2(napi_env env, napi_callback_info info) {
  int32_t values[2];
  return result(env, numbers(env, info, 2, values) ? dup2(values[0], values[1]) : -1);
}

napi_value Init(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"dup", nullptr, Dup, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"dup2", nullptr, Dup2, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  napi_define_properties(env, exports, 2, functions);
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
