// The fused step as operations of TensorFlow's C kernel interface, registered when the addon of tfjs-node loads:
//
//     LearningRateDropoutMeasure  plan, tensors -> sums, moments        what factors are made of, ahead of a step
//     LearningRateDropoutHold     tensors -> ticket                     keeps references to the tensors that a step will write
//     LearningRateDropoutStep     ticket, plan, gradients -> tensors, sums    the same tensors, stepped, and the sums of those that were measured on the way
//     LearningRateDropoutReturn   ticket -> tensors                     the same tensors, as they were
//
// each with V and LRD_VERSION behind its name, the hash of these sources.
//
// Between Hold and Step the caller frees its own handles. A buffer that has no other owner then is written in place; one that
// somebody else still looks at (a clone, a view, a gradient, the array that it was made from) is copied first. Nothing is written before all is checked and
// allocated, so that a step that fails changes nothing.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#if !defined(MADV_COLLAPSE)
// Of linux/mman.h; an older C library has no name for it.
#define MADV_COLLAPSE 25
#endif
#endif

#include "forms.h"
#include "pool.h"
#include "step.h"
#include "tensors.h"

namespace lrd {
namespace {

// What is held, by ticket.
std::mutex held_mutex;
std::unordered_map<int32_t, std::vector<Tensor>> held;
int32_t last_ticket = 0;

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
    Pool::instance().each(portions.size(), Subnormals::kKept, [&](size_t p) { take(form, measures[portions[p].tensor], portions[p], sums); });
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

    Pool::instance().each(portions.size(), Subnormals::kKept, [&](size_t p) {
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

[[maybe_unused]] const bool registered = [] {
  registerOperation("LearningRateDropoutMeasureV" LRD_VERSION, {"N: int >= 1", "M: int >= 0"}, {"plan: int32", "tensors: N * float"}, {"sums: int32", "moments: M * float"}, {measure});
  registerOperation("LearningRateDropoutHoldV" LRD_VERSION, {"N: int >= 1"}, {"tensors: N * float"}, {"ticket: int32"}, {hold});
  registerOperation("LearningRateDropoutStepV" LRD_VERSION, {"N: int >= 1", "M: int >= 1"}, {"ticket: int32", "plan: int32", "gradients: N * float"}, {"tensors: M * float", "sums: int32"}, {step});
  registerOperation("LearningRateDropoutReturnV" LRD_VERSION, {"M: int >= 1"}, {"ticket: int32"}, {"tensors: M * float"}, {giveBack});
  return true;
}();

}  // namespace
}  // namespace lrd
