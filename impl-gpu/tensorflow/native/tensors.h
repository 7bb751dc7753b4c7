// TensorFlow's C interface for kernels, as the operations here use it: tensors that free themselves, errors that are thrown, and the registration.
#ifndef LEARNING_RATE_DROPOUT_TENSORS_H_
#define LEARNING_RATE_DROPOUT_TENSORS_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace lrd {

struct DeleteTensor {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using Tensor = std::unique_ptr<TF_Tensor, DeleteTensor>;

struct DeleteStatus {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
};
using Status = std::unique_ptr<TF_Status, DeleteStatus>;

// Ends an operation with an error.
struct Failure {
  TF_Code code;
  std::string message;
};

inline void check(const TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) throw Failure{TF_GetCode(status), TF_Message(status)};
}

inline void require(bool holds, const char* message) {
  if (!holds) throw Failure{TF_INVALID_ARGUMENT, message};
}

inline Tensor input(TF_OpKernelContext* context, int index) {
  Status status(TF_NewStatus());
  TF_Tensor* tensor = nullptr;
  TF_GetInput(context, index, &tensor, status.get());
  check(status.get());
  return Tensor(tensor);
}

inline void output(TF_OpKernelContext* context, int index, const Tensor& tensor) {
  Status status(TF_NewStatus());
  TF_SetOutput(context, index, tensor.get(), status.get());
  check(status.get());
}

// Runs the body of an operation; no exception passes through TensorFlow.
template <class Body>
void guarded(TF_OpKernelContext* context, Body body) {
  Failure failure{TF_OK, ""};
  try {
    body();
    return;
  } catch (const Failure& thrown) {
    failure = thrown;
  } catch (const std::bad_alloc&) {
    failure = {TF_RESOURCE_EXHAUSTED, "out of memory"};
  }
  Status status(TF_NewStatus());
  TF_SetStatus(status.get(), failure.code, failure.message.c_str());
  TF_OpKernelContext_Failure(context, status.get());
}

inline Tensor allocate(TF_DataType type, const std::vector<int64_t>& dimensions, size_t bytes) {
  Tensor made(TF_AllocateTensor(type, dimensions.data(), static_cast<int>(dimensions.size()), bytes));
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

inline Tensor allocateFloats(const std::vector<int64_t>& dimensions) {
  size_t count = 1;
  for (const int64_t extent : dimensions) count *= static_cast<size_t>(extent);
  return allocate(TF_FLOAT, dimensions, count * sizeof(float));
}

inline std::vector<int64_t> shapeOf(const Tensor& tensor) {
  std::vector<int64_t> dimensions;
  for (int i = 0; i < TF_NumDims(tensor.get()); i++) dimensions.push_back(TF_Dim(tensor.get(), i));
  return dimensions;
}

// A tensor of the same shape, with nothing in it.
inline Tensor blankOf(const Tensor& tensor) { return allocateFloats(shapeOf(tensor)); }

inline const float* floatsOf(const Tensor& tensor) {
  require(TF_TensorType(tensor.get()) == TF_FLOAT, "float32 is wanted");
  return static_cast<const float*>(TF_TensorData(tensor.get()));
}

inline float* placeOf(const Tensor& tensor) { return static_cast<float*>(TF_TensorData(tensor.get())); }

// A kernel: what its attributes make of it, if there is anything to make, and what it does.
struct Kernel {
  void (*compute)(void*, TF_OpKernelContext*);
  void* (*create)(TF_OpKernelConstruction*) = nullptr;
  void (*destroy)(void*) = nullptr;
};

inline void unknownShapes(TF_ShapeInferenceContext* context, TF_Status* status) { TF_ShapeInferenceContextSetUnknownShape(context, status); }

// Says on stderr what failed: the addon loads all the same, and tfjs goes by TensorFlow's own operations.
inline void registerOperation(const char* name, const std::vector<const char*>& attributes, const std::vector<const char*>& inputs,
                              const std::vector<const char*>& results, const Kernel& kernel) {
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(name);
  for (const char* attribute : attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  for (const char* each : inputs) TF_OpDefinitionBuilderAddInput(definition, each);
  for (const char* each : results) TF_OpDefinitionBuilderAddOutput(definition, each);
  TF_OpDefinitionBuilderSetIsStateful(definition, true);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, unknownShapes);
  Status status(TF_NewStatus());
  TF_RegisterOpDefinition(definition, status.get());
  if (TF_GetCode(status.get()) == TF_OK) {
    TF_RegisterKernelBuilder(name, TF_NewKernelBuilder(name, "CPU", kernel.create, kernel.compute, kernel.destroy), status.get());
  }
  if (TF_GetCode(status.get()) != TF_OK) std::fprintf(stderr, "%s: %s\n", name, TF_Message(status.get()));
}

}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_TENSORS_H_
