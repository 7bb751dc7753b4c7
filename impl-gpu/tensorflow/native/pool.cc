#include "pool.h"

#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lrd {
namespace {

// Sets what becomes of subnormal numbers while it lives, whatever TensorFlow has set for this thread.
class Treating {
 public:
#if defined(__x86_64__)
  explicit Treating(Subnormals subnormals) : before_(_mm_getcsr()) {
    constexpr unsigned kFlush = 0x8040u;
    _mm_setcsr(subnormals == Subnormals::kFlushed ? before_ | kFlush : before_ & ~kFlush);
  }
  ~Treating() { _mm_setcsr(before_); }

 private:
  const unsigned before_;
#elif defined(__aarch64__)
  explicit Treating(Subnormals subnormals) {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    constexpr uint64_t kFlush = uint64_t{1} << 24;
    const uint64_t wanted = subnormals == Subnormals::kFlushed ? before_ | kFlush : before_ & ~kFlush;
    asm volatile("msr fpcr, %0" ::"r"(wanted));
  }
  ~Treating() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

 private:
  uint64_t before_;
#else
  explicit Treating(Subnormals) {}
#endif
};

// How long a thread looks out for more, and how long of that without letting others have its processor.
constexpr std::chrono::microseconds kPatience{1000}, kAlone{50};

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Whether `holds` does within the patience.
template <class Condition>
bool within(Condition holds) {
  constexpr int kLooks = 32;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < kLooks; i++) {
      if (holds()) return true;
      pause();
    }
    const auto passed = std::chrono::steady_clock::now() - start;
    if (passed > kPatience) return holds();
    if (passed > kAlone) std::this_thread::yield();
  }
}

size_t helperCount() {
  const char* named = std::getenv("TF_NUM_INTRAOP_THREADS");
  const int asked = named == nullptr ? 0 : std::atoi(named);
  const int found = static_cast<int>(std::thread::hardware_concurrency());
  const int wanted = asked > 0 ? asked : found;
  return wanted > 1 ? static_cast<size_t>(wanted - 1) : 0;
}

}  // namespace

Pool& Pool::instance() {
  // Never destroyed: its threads may wait on it until the very end.
  static Pool* pool = new Pool(helperCount());
  return *pool;
}

Pool::Pool(size_t helpers) : helpers_(helpers) {
  for (size_t i = 0; i < helpers_; i++) std::thread([this] { serve(); }).detach();
}

void Pool::each(size_t count, Subnormals subnormals, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex failing;
  const std::function<void()> take = [&] {
    const Treating treating(subnormals);
    try {
      for (size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(failing);
      failure = std::current_exception();
    }
  };
  share(count, take);
  if (failure) std::rethrow_exception(failure);
}

void Pool::alone(size_t count, Subnormals subnormals, const std::function<void(size_t)>& work) {
  const Treating treating(subnormals);
  for (size_t i = 0; i < count; i++) work(i);
}

void Pool::share(size_t count, const std::function<void()>& take) {
  if (count < 2 || helpers_ == 0) return take();
  std::lock_guard<std::mutex> turn(turn_);
  job_ = &take;
  open_ = true;
  {
    // Or one that is about to sleep would miss it.
    std::lock_guard<std::mutex> lock(mutex_);
    round_++;
  }
  if (asleep_ > 0) start_.notify_all();
  take();
  // Who has joined by now is waited for; who comes later finds it closed.
  open_ = false;
  while (active_ > 0) {
    if (!within([&] { return active_ == 0; })) std::this_thread::yield();
  }
}

void Pool::serve() {
  uint64_t seen = 0;
  const auto called = [&] { return round_ != seen; };
  for (;;) {
    if (!within(called)) {
      std::unique_lock<std::mutex> lock(mutex_);
      asleep_++;
      start_.wait(lock, called);
      asleep_--;
    }
    seen = round_;
    active_++;
    if (open_) (*job_)();
    active_--;
  }
}

}  // namespace lrd
