// The fused step as operations of TensorFlow's C kernel interface, registered when the addon of tfjs-node loads:
//
//     LearningRateDropoutMeasure  plan, tensors -> sums, moments        what factors are made of, ahead of a step
//     LearningRateDropoutHold     tensors -> ticket                     keeps references to the tensors that a step will write
//     LearningRateDropoutStep     ticket, plan, gradients -> tensors, sums    the same tensors, stepped, and the sums of those that were measured on the way
//     LearningRateDropoutReturn   ticket -> tensors                     the same tensors, as they were
//
// each with V and LRD_VERSION behind its name, the hash of these sources; and the passes of layers.h:
//
//     LearningRateDropoutBias       values, bias -> values    in place: the caller must be the only owner of the first
//     LearningRateDropoutClamp      the same, clamped at 0
//     LearningRateDropoutSlope      dy, y -> dz
//     LearningRateDropoutSlopeSums  dy, y -> dz, its sums over all axes but the last
//
// Between Hold and Step the caller frees its own handles. A buffer that has no other owner then is written in place; one that
// somebody else still looks at (a clone, a view, a gradient, the array that it was made from) is copied first. Nothing is written before all is checked and
// allocated, so that a step that fails changes nothing.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#if !defined(MADV_COLLAPSE)
// Of linux/mman.h; an older C library has no name for it.
#define MADV_COLLAPSE 25
#endif
#endif

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "layers.h"
#include "step.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace lrd {

#if defined(__x86_64__)
extern const Form avx512;
extern const Form avx2;
#endif
extern const Form plain;

namespace layers {
#if defined(__x86_64__)
extern const Form avx512;
extern const Form avx2;
#endif
extern const Form plain;
}  // namespace layers

namespace {

// What an instruction set has.
struct Forms {
  const Form& step;
  const layers::Form& layers;
};

// The widest forms that this processor has, or those that LRD_INSTRUCTIONS names where it has them.
Forms chooseForms() {
#if defined(__x86_64__)
  const char* named = std::getenv("LRD_INSTRUCTIONS");
  const std::string wanted = named == nullptr ? "" : named;
  const bool any = wanted != "avx512" && wanted != "avx2" && wanted != "plain";
  __builtin_cpu_init();
  if ((any || wanted == "avx512") && __builtin_cpu_supports("avx512f")) return {avx512, layers::avx512};
  if ((any || wanted == "avx2") && __builtin_cpu_supports("avx2")) return {avx2, layers::avx2};
#endif
  return {plain, layers::plain};
}

const Forms& forms() {
  static const Forms chosen = chooseForms();
  return chosen;
}

// Subnormal numbers count while it lives, whatever TensorFlow has set for this thread.
class WithSubnormals {
 public:
#if defined(__x86_64__)
  WithSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ & ~0x8040u); }
  ~WithSubnormals() { _mm_setcsr(before_); }

 private:
  const unsigned before_;
#elif defined(__aarch64__)
  WithSubnormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    const uint64_t cleared = before_ & ~(uint64_t{1} << 24);
    asm volatile("msr fpcr, %0" ::"r"(cleared));
  }
  ~WithSubnormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

 private:
  uint64_t before_;
#endif
};

// As many threads as TensorFlow itself takes: TF_NUM_INTRAOP_THREADS, else the processors that this process may use.
int threadCount() {
  const char* named = std::getenv("TF_NUM_INTRAOP_THREADS");
  const int asked = named == nullptr ? 0 : std::atoi(named);
  const int found = static_cast<int>(std::thread::hardware_concurrency());
  return asked > 0 ? asked : found > 0 ? found : 1;
}

// Threads that wait between steps, and end with the process.
class Pool {
 public:
  static Pool& instance() {
    // Never destroyed: its threads may wait on it until the very end.
    static Pool* pool = new Pool(threadCount());
    return *pool;
  }

  // Calls work(i) for every i below count, on all threads, this one included.
  void each(size_t count, const std::function<void(size_t)>& work) {
    std::lock_guard<std::mutex> turn(turn_);
    std::atomic<size_t> next{0};
    const std::function<void()> take = [&] {
      WithSubnormals subnormals;
      for (size_t i = next++; i < count; i = next++) work(i);
    };
    const size_t helpers = count < 2 ? 0 : threads_;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &take;
      wanted_ = running_ = helpers;
      round_++;
    }
    if (helpers > 0) start_.notify_all();
    take();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
    job_ = nullptr;
  }

 private:
  explicit Pool(int threads) : threads_(static_cast<size_t>(threads - 1)) {
    for (size_t i = 0; i < threads_; i++) std::thread([this] { serve(); }).detach();
  }

  void serve() {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      start_.wait(lock, [&] { return round_ != seen && wanted_ > 0; });
      seen = round_;
      wanted_--;
      const std::function<void()>* job = job_;
      lock.unlock();
      (*job)();
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  const size_t threads_;
  // Steps of several threads of JavaScript take turns.
  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  const std::function<void()>* job_ = nullptr;
  uint64_t round_ = 0;
  size_t wanted_ = 0, running_ = 0;
};

struct DeleteTensor {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using Tensor = std::unique_ptr<TF_Tensor, DeleteTensor>;

struct DeleteStatus {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
};
using Status = std::unique_ptr<TF_Status, DeleteStatus>;

// What is held, by ticket.
std::mutex held_mutex;
std::unordered_map<int32_t, std::vector<Tensor>> held;
int32_t last_ticket = 0;

// Ends an operation with an error.
struct Failure {
  TF_Code code;
  std::string message;
};

void check(const TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) throw Failure{TF_GetCode(status), TF_Message(status)};
}

void require(bool holds, const char* message) {
  if (!holds) throw Failure{TF_INVALID_ARGUMENT, message};
}

Tensor input(TF_OpKernelContext* context, int index) {
  Status status(TF_NewStatus());
  TF_Tensor* tensor = nullptr;
  TF_GetInput(context, index, &tensor, status.get());
  check(status.get());
  return Tensor(tensor);
}

void output(TF_OpKernelContext* context, int index, const Tensor& tensor) {
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

int32_t ticketOf(const Tensor& tensor) {
  require(TF_TensorType(tensor.get()) == TF_INT32 && TF_TensorElementCount(tensor.get()) == 1, "a ticket must be one int32");
  return *static_cast<const int32_t*>(TF_TensorData(tensor.get()));
}

void hold(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    std::vector<Tensor> tensors;
    for (int i = 0; i < TF_NumInputs(context); i++) tensors.push_back(input(context, i));
    Tensor ticket(TF_AllocateTensor(TF_INT32, nullptr, 0, sizeof(int32_t)));
    {
      std::lock_guard<std::mutex> lock(held_mutex);
      *static_cast<int32_t*>(TF_TensorData(ticket.get())) = ++last_ticket;
      held[last_ticket] = std::move(tensors);
    }
    output(context, 0, ticket);
  });
}

// Takes what is held for a ticket. `count` must be the number of tensors.
std::vector<Tensor> takeHeld(int32_t ticket, int count) {
  std::lock_guard<std::mutex> lock(held_mutex);
  const auto found = held.find(ticket);
  require(found != held.end() && found->second.size() == static_cast<size_t>(count), "nothing is held for this ticket");
  std::vector<Tensor> tensors = std::move(found->second);
  held.erase(found);
  return tensors;
}

void giveBack(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const std::vector<Tensor> tensors = takeHeld(ticketOf(input(context, 0)), TF_NumOutputs(context));
    for (size_t i = 0; i < tensors.size(); i++) output(context, static_cast<int>(i), tensors[i]);
  });
}

Tensor allocate(TF_DataType type, const std::vector<int64_t>& dimensions, size_t bytes) {
  Tensor made(TF_AllocateTensor(type, dimensions.data(), static_cast<int>(dimensions.size()), bytes));
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

#if defined(MADV_COLLAPSE)
// Whether the system gives huge pages to those who ask.
bool hugePagesAllowed() {
  std::FILE* file = std::fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
  if (file == nullptr) return false;
  char setting[64] = {};
  const size_t read = std::fread(setting, 1, sizeof setting - 1, file);
  std::fclose(file);
  return read > 0 && std::strstr(setting, "[never]") == nullptr;
}
#endif

// Puts memory on huge pages (Linux 6.1 and later; others go on as they are): a step goes through all of an optimizer's state, and on pages of 4 KiB it
// waits for where they are. Whole pages around it, since tensors lie beside each other and one page can hold the end of one and the start of the next.
void gather([[maybe_unused]] const Tensor& tensor) {
#if defined(MADV_COLLAPSE)
  static const bool allowed = hugePagesAllowed();
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  const size_t bytes = TF_TensorByteSize(tensor.get());
  if (!allowed || bytes < kPage / 2) return;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(TF_TensorData(tensor.get()));
  const uintptr_t first = begin / kPage * kPage, last = (begin + bytes + kPage - 1) / kPage * kPage;
  // Advice: what cannot be gathered stays where it is.
  madvise(reinterpret_cast<void*>(first), last - first, MADV_COLLAPSE);
#endif
}

// A tensor of the same shape, with nothing in it.
Tensor blankOf(const Tensor& tensor) {
  std::vector<int64_t> dimensions;
  for (int i = 0; i < TF_NumDims(tensor.get()); i++) dimensions.push_back(TF_Dim(tensor.get(), i));
  return allocate(TF_FLOAT, dimensions, TF_TensorByteSize(tensor.get()));
}

Tensor copyOf(const Tensor& tensor) {
  Tensor copy = blankOf(tensor);
  std::memcpy(TF_TensorData(copy.get()), TF_TensorData(tensor.get()), TF_TensorByteSize(tensor.get()));
  return copy;
}

bool isFamily(int32_t number) { return number >= 0 && number < static_cast<int32_t>(Family::kCount); }

// Elements that a thread takes at once: whole stretches of what is measured.
constexpr int64_t kStretches = 4;
constexpr int64_t kPortion = kStretches * kMeasured;

// How many stretches so many elements are.
size_t stretchesOf(int64_t elements) { return static_cast<size_t>((elements + kMeasured - 1) / kMeasured); }

// A part of a tensor, and which of all sums is the first of its own.
struct Portion {
  size_t tensor;
  int64_t first, count;
  size_t sums;
};

// The portions of tensors in a row. Returns how many sums there are.
size_t portion(const std::vector<int64_t>& sizes, const std::function<bool(size_t)>& measured, std::vector<Portion>& portions) {
  size_t sums = 0;
  for (size_t i = 0; i < sizes.size(); i++) {
    for (int64_t first = 0; first < sizes[i]; first += kPortion) {
      const int64_t count = std::min(kPortion, sizes[i] - first);
      portions.push_back({i, first, count, sums});
      if (measured(i)) sums += stretchesOf(count);
    }
  }
  return sums;
}

Tensor allocateSums(size_t count) {
  return allocate(TF_INT32, {static_cast<int64_t>(count * sizeof(Sums) / sizeof(int32_t))}, count * sizeof(Sums));
}

// Measures a portion into its place.
void take(const Form& form, const Measure& measure, const Portion& portion, const Tensor& sums) {
  Sums own[kStretches];
  form.measure(measure, portion.first, portion.count, own);
  std::memcpy(static_cast<char*>(TF_TensorData(sums.get())) + portion.sums * sizeof(Sums), own, stretchesOf(portion.count) * sizeof(Sums));
}

// The plan of a measuring is a record for each tensor:
//     family, flags, what is measured, in which way, number of states, scalars (float32 bits)
// Its tensors follow each other: gradient, parameter where there is coupled decay, states. The sums are the bits of float64 numbers, kSums for
// each stretch of kMeasured elements, tensor by tensor; the moments those that alignments of their own have, moved on.
constexpr int kMeasureRecord = 5 + kScalars;

void measure(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const Form& form = forms().step;
    const Tensor plan = input(context, 0);
    const int64_t words = TF_TensorElementCount(plan.get());
    require(TF_TensorType(plan.get()) == TF_INT32 && words % kMeasureRecord == 0, "the plan must be whole records of int32");
    const int32_t* word = static_cast<const int32_t*>(TF_TensorData(plan.get()));
    const size_t count = static_cast<size_t>(words / kMeasureRecord);
    std::vector<Tensor> tensors, moments;
    for (int i = 1; i < TF_NumInputs(context); i++) tensors.push_back(input(context, i));

    std::vector<Measure> measures(count);
    std::vector<int64_t> sizes(count);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
      const int32_t* record = word + i * kMeasureRecord;
      const int32_t states = record[4];
      Measure& one = measures[i] = {};
      one.family = static_cast<Family>(record[0]);
      one.flags = record[1];
      one.of = static_cast<Measured>(record[2]);
      one.way = record[3];
      std::memcpy(&one.scalars, record + 5, sizeof one.scalars);
      const bool coupled = (one.flags & kCoupled) != 0;
      require(isFamily(record[0]) && record[2] >= 0 && record[2] < static_cast<int32_t>(Measured::kCount) && states >= 0 && states <= kMostState &&
                  at + 1 + (coupled ? 1 : 0) + static_cast<size_t>(states) <= tensors.size(),
              "a record of the plan is out of range");
      const int64_t size = sizes[i] = TF_TensorElementCount(tensors[at].get());
      const auto next = [&]() -> const float* {
        require(TF_TensorElementCount(tensors[at].get()) == size, "what is measured must be of one size");
        return static_cast<const float*>(TF_TensorData(tensors[at++].get()));
      };
      one.gradient = next();
      if (coupled) one.parameter = next();
      for (int32_t k = 0; k < states; k++) one.state[k] = next();
      if (one.of == Measured::kAlignment) {
        require(states == 1, "an alignment is of one moment");
        if (one.way & kOwn) {
          moments.push_back(blankOf(tensors[at - 1]));
          one.moment = static_cast<float*>(TF_TensorData(moments.back().get()));
        }
      }
    }
    require(at == tensors.size() && TF_NumOutputs(context) == 1 + static_cast<int>(moments.size()), "the plan must use all that it is given");

    std::vector<Portion> portions;
    const Tensor sums = allocateSums(portion(sizes, [](size_t) { return true; }, portions));
    Pool::instance().each(portions.size(), [&](size_t p) { take(form, measures[portions[p].tensor], portions[p], sums); });
    output(context, 0, sums);
    for (size_t i = 0; i < moments.size(); i++) output(context, 1 + static_cast<int>(i), moments[i]);
  });
}

// A plan is a row of int32 words: what all tensors share, then a record for each.
//     step, key (low), key (high)
//     family, flags, threshold, block (low), block (high), owned, number of state tensors, index of the gradient, measured, scalars (float32 bits)
// Its written tensors follow each other: parameter, then state. Of `owned` bit k says that written tensor k came out of an earlier step: only
// these may be written in place. One of another origin can share memory with what no count of owners shows, as a slice does. Where `measured` is 1 + the
// way of an alignment, the tensor is measured on the way: each portion ahead of its step, whose memory then is in a cache. The sums follow each other as
// those of a measuring do.
constexpr int kHeader = 3;
constexpr int kRecord = 9 + kScalars;

void step(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const Form& form = forms().step;
    const Tensor plan = input(context, 1);
    const int64_t words = TF_TensorElementCount(plan.get());
    require(TF_TensorType(plan.get()) == TF_INT32 && words >= kHeader && (words - kHeader) % kRecord == 0, "the plan must be whole records of int32");
    const int32_t* word = static_cast<const int32_t*>(TF_TensorData(plan.get()));
    const size_t count = static_cast<size_t>((words - kHeader) / kRecord);
    std::vector<Tensor> gradients;
    for (int i = 2; i < TF_NumInputs(context); i++) gradients.push_back(input(context, i));

    const int32_t ticket = ticketOf(input(context, 0));
    std::vector<Tensor> written = takeHeld(ticket, TF_NumOutputs(context) - 1);
    std::vector<Tensor> copies(written.size());
    std::vector<Step> steps(count);
    std::vector<int64_t> sizes(count);
    // What is measured on the way, by its way; of others -1.
    std::vector<int32_t> ways(count);
    Tensor sums;
    std::vector<Portion> portions;
    try {
      size_t at = 0;
      for (size_t i = 0; i < count; i++) {
        const int32_t* record = word + kHeader + i * kRecord;
        const int32_t states = record[6];
        require(isFamily(record[0]) && states >= 0 && states <= kMostState && record[7] >= 0 &&
                    static_cast<size_t>(record[7]) < gradients.size() && at + 1 + static_cast<size_t>(states) <= written.size(),
                "a record of the plan is out of range");
        const TF_Tensor* gradient = gradients[static_cast<size_t>(record[7])].get();
        const int64_t size = sizes[i] = TF_TensorElementCount(written[at].get());
        ways[i] = record[8] - 1;
        require(ways[i] == -1 || (states > 0 && (ways[i] & ~kBefore) == 0), "what is measured on the way must be an alignment with a moment of the rule");
        require(TF_TensorElementCount(gradient) == size, "a gradient must have as many elements as its parameter");
        Step& one = steps[i];
        one.family = static_cast<Family>(record[0]);
        one.flags = record[1];
        one.threshold = record[2];
        one.block = static_cast<uint32_t>(record[3]) | static_cast<uint64_t>(static_cast<uint32_t>(record[4])) << 32;
        one.step = static_cast<uint32_t>(word[0]);
        one.key[0] = static_cast<uint32_t>(word[1]);
        one.key[1] = static_cast<uint32_t>(word[2]);
        std::memcpy(&one.scalars, record + 9, sizeof one.scalars);
        one.gradient = static_cast<const float*>(TF_TensorData(gradient));
        for (int32_t k = 0; k <= states; k++, at++) {
          require(TF_TensorElementCount(written[at].get()) == size && TF_TensorType(written[at].get()) == TF_FLOAT, "state must be float32 of its parameter's size");
          const bool owned = ((record[5] >> k) & 1) != 0;
          TF_Tensor* mine = owned ? TF_TensorMaybeMove(written[at].get()) : nullptr;
          if (mine == nullptr) copies[at] = copyOf(written[at]);
          // Once: what somebody looks at in every step is copied in every step.
          if (!owned) gather(copies[at]);
          float* data = static_cast<float*>(TF_TensorData(mine == nullptr ? copies[at].get() : written[at].get()));
          (k == 0 ? one.parameter : one.state[k - 1]) = data;
        }
      }
      require(at == written.size(), "the plan must use all that is held");
      sums = allocateSums(portion(sizes, [&](size_t i) { return ways[i] >= 0; }, portions));
    } catch (...) {
      std::lock_guard<std::mutex> lock(held_mutex);
      held[ticket] = std::move(written);
      throw;
    }

    Pool::instance().each(portions.size(), [&](size_t p) {
      const Portion& part = portions[p];
      const Step& one = steps[part.tensor];
      const int32_t way = ways[part.tensor];
      if (way >= 0) take(form, {one.family, one.flags, Measured::kAlignment, way, one.scalars, one.gradient, one.parameter, {one.state[0]}, nullptr}, part, sums);
      form.run(one, part.first, part.first + part.count);
    });
    for (size_t at = 0; at < written.size(); at++) output(context, static_cast<int>(at), copies[at] != nullptr ? copies[at] : written[at]);
    output(context, static_cast<int>(written.size()), sums);
  });
}

// Elements that a thread takes at once of activations; below twice as many, waking another one takes longer than they do.
constexpr int64_t kActivations = int64_t{1} << 18;

// Calls work(i) for every i below count: portions of so many elements in all.
void eachOf(int64_t count, int64_t elements, const std::function<void(int64_t)>& work) {
  if (elements >= 2 * kActivations) {
    Pool::instance().each(static_cast<size_t>(count), [&](size_t i) { work(static_cast<int64_t>(i)); });
    return;
  }
  for (int64_t i = 0; i < count; i++) work(i);
}

int64_t portionsOf(int64_t elements, int64_t of) { return (elements + of - 1) / of; }

void requireFloats(const Tensor& tensor) { require(TF_TensorType(tensor.get()) == TF_FLOAT, "activations must be float32"); }

template <bool kClamp>
void bias(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const Tensor tensor = input(context, 0), given = input(context, 1);
    requireFloats(tensor);
    requireFloats(given);
    const int64_t elements = TF_TensorElementCount(tensor.get()), columns = TF_TensorElementCount(given.get());
    require(elements == 0 || (columns > 0 && elements % columns == 0), "a bias must be of whole rows");
    float* values = static_cast<float*>(TF_TensorData(tensor.get()));
    const float* row = static_cast<const float*>(TF_TensorData(given.get()));
    if (elements == columns) {
      eachOf(portionsOf(elements, kActivations), elements, [&](int64_t i) {
        const int64_t first = i * kActivations;
        forms().layers.bias(values + first, row + first, 1, std::min(kActivations, elements - first), kClamp);
      });
    } else {
      const int64_t rows = elements / columns, each = std::max(int64_t{1}, kActivations / columns);
      eachOf(portionsOf(rows, each), elements, [&](int64_t i) {
        const int64_t first = i * each;
        forms().layers.bias(values + first * columns, row, std::min(each, rows - first), columns, kClamp);
      });
    }
    output(context, 0, tensor);
  });
}

template <bool kSums>
void slope(void*, TF_OpKernelContext* context) {
  guarded(context, [&] {
    const Tensor above = input(context, 0), clamped = input(context, 1);
    requireFloats(above);
    requireFloats(clamped);
    const int64_t elements = TF_TensorElementCount(clamped.get());
    require(TF_TensorElementCount(above.get()) == elements, "dy and y must have as many elements");
    const Tensor made = blankOf(clamped);
    const float* dy = static_cast<const float*>(TF_TensorData(above.get()));
    const float* y = static_cast<const float*>(TF_TensorData(clamped.get()));
    float* dz = static_cast<float*>(TF_TensorData(made.get()));
    if (kSums) {
      const int rank = TF_NumDims(clamped.get());
      require(rank > 0, "y must have an axis to keep");
      const int64_t columns = TF_Dim(clamped.get(), rank - 1), rows = elements == 0 ? 0 : elements / columns;
      const int64_t groups = portionsOf(rows, layers::kRows);
      const size_t bytes = static_cast<size_t>(columns) * sizeof(float);
      const Tensor sums = allocate(TF_FLOAT, {columns}, bytes);
      float* total = static_cast<float*>(TF_TensorData(sums.get()));
      std::vector<float> partial(static_cast<size_t>(groups * columns));
      eachOf(groups, elements, [&](int64_t i) {
        const int64_t first = i * layers::kRows, at = first * columns;
        forms().layers.slope(dy + at, y + at, dz + at, partial.data() + i * columns, std::min(layers::kRows, rows - first), columns);
      });
      std::fill(total, total + columns, 0.0f);
      for (int64_t i = 0; i < groups; i++) {
        for (int64_t c = 0; c < columns; c++) total[c] += partial[static_cast<size_t>(i * columns + c)];
      }
      output(context, 1, sums);
    } else {
      eachOf(portionsOf(elements, kActivations), elements, [&](int64_t i) {
        const int64_t first = i * kActivations;
        forms().layers.slope(dy + first, y + first, dz + first, nullptr, 1, std::min(kActivations, elements - first));
      });
    }
    output(context, 0, made);
  });
}

void unknownShapes(TF_ShapeInferenceContext* context, TF_Status* status) { TF_ShapeInferenceContextSetUnknownShape(context, status); }

// Says on stderr what failed: the addon loads all the same, and steps by TensorFlow's own operations.
void registerOperation(const char* name, const std::vector<const char*>& attributes, const std::vector<const char*>& inputs,
                       const std::vector<const char*>& results, void (*compute)(void*, TF_OpKernelContext*)) {
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(name);
  for (const char* attribute : attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  for (const char* each : inputs) TF_OpDefinitionBuilderAddInput(definition, each);
  for (const char* each : results) TF_OpDefinitionBuilderAddOutput(definition, each);
  TF_OpDefinitionBuilderSetIsStateful(definition, true);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, unknownShapes);
  Status status(TF_NewStatus());
  TF_RegisterOpDefinition(definition, status.get());
  if (TF_GetCode(status.get()) == TF_OK) {
    TF_RegisterKernelBuilder(name, TF_NewKernelBuilder(name, "CPU", nullptr, compute, nullptr), status.get());
  }
  if (TF_GetCode(status.get()) != TF_OK) std::fprintf(stderr, "%s: %s\n", name, TF_Message(status.get()));
}

[[maybe_unused]] const bool registered = [] {
  registerOperation("LearningRateDropoutMeasureV" LRD_VERSION, {"N: int >= 1", "M: int >= 0"}, {"plan: int32", "tensors: N * float"}, {"sums: int32", "moments: M * float"}, measure);
  registerOperation("LearningRateDropoutHoldV" LRD_VERSION, {"N: int >= 1"}, {"tensors: N * float"}, {"ticket: int32"}, hold);
  registerOperation("LearningRateDropoutStepV" LRD_VERSION, {"N: int >= 1", "M: int >= 1"}, {"ticket: int32", "plan: int32", "gradients: N * float"}, {"tensors: M * float", "sums: int32"}, step);
  registerOperation("LearningRateDropoutReturnV" LRD_VERSION, {"M: int >= 1"}, {"ticket: int32"}, {"tensors: M * float"}, giveBack);
  registerOperation("LearningRateDropoutBiasV" LRD_VERSION, {}, {"values: float", "bias: float"}, {"biased: float"}, bias<false>);
  registerOperation("LearningRateDropoutClampV" LRD_VERSION, {}, {"values: float", "bias: float"}, {"biased: float"}, bias<true>);
  registerOperation("LearningRateDropoutSlopeV" LRD_VERSION, {}, {"dy: float", "y: float"}, {"dz: float"}, slope<false>);
  registerOperation("LearningRateDropoutSlopeSumsV" LRD_VERSION, {}, {"dy: float", "y: float"}, {"dz: float", "sums: float"}, slope<true>);
  return true;
}();

}  // namespace
}  // namespace lrd
