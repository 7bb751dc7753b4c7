#include "pool.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

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

// The numbers that a file begins with; what is none ends them.
std::vector<double> numbersOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<double> numbers;
  for (double number; file >> number;) numbers.push_back(number);
  return numbers;
}

// Processors' worth of time that a control group of Linux has: version 2 says "quota period", or "max", version 1 has a file for each, and -1 for none.
double processorsOfGroup(const std::string& folder, bool unified) {
  std::vector<double> limit = numbersOf(folder + (unified ? "/cpu.max" : "/cpu.cfs_quota_us"));
  if (!unified) {
    for (const double period : numbersOf(folder + "/cpu.cfs_period_us")) limit.push_back(period);
  }
  const bool limited = limit.size() == 2 && limit[0] > 0 && limit[1] > 0;
  return limited ? limit[0] / limit[1] : std::numeric_limits<double>::infinity();
}

// The least of this process's group and those around it. Threads beyond would use it up by looking out.
double processorsOfGroups() {
  double least = std::numeric_limits<double>::infinity();
  std::ifstream groups("/proc/self/cgroup");
  // A line is "number:controllers:/path"; version 2's controllers have no name.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers != "cpu" && controllers != "cpu,cpuacct") continue;
    // A container shows its own group as the root, whatever its path: it is among those that are asked.
    for (std::string path = line.substr(second + 1);; path.resize(path.rfind('/'))) {
      least = std::min(least, processorsOfGroup((unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu") + path, unified));
      if (path.find('/') == std::string::npos) break;
    }
  }
  return least;
}

size_t helperCount() {
  const char* named = std::getenv("TF_NUM_INTRAOP_THREADS");
  const int asked = named == nullptr ? 0 : std::atoi(named);
  const double found = std::min(static_cast<double>(std::thread::hardware_concurrency()), std::ceil(processorsOfGroups()));
  const int wanted = asked > 0 ? asked : static_cast<int>(found);
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
  // Whether there was anything left to do.
  const std::function<bool()> take = [&] {
    const Treating treating(subnormals);
    size_t i = next++;
    const bool some = i < count;
    try {
      for (; i < count; i = next++) work(i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(failing);
      failure = std::current_exception();
    }
    return some;
  };
  share(count, take);
  if (failure) std::rethrow_exception(failure);
}

void Pool::alone(size_t count, Subnormals subnormals, const std::function<void(size_t)>& work) {
  const Treating treating(subnormals);
  for (size_t i = 0; i < count; i++) work(i);
}

void Pool::share(size_t count, const std::function<bool()>& take) {
  if (count < 2 || helpers_ == 0) {
    take();
    return;
  }
  std::lock_guard<std::mutex> turn(turn_);
  job_ = &take;
  open_ = true;
  size_t awake;
  {
    // Or one that is about to sleep would miss it.
    std::lock_guard<std::mutex> lock(mutex_);
    round_++;
    awake = helpers_ - asleep_;
  }
  for (const size_t wanted = std::min(count - 1, helpers_); awake < wanted; awake++) start_.notify_one();
  take();
  // Who has joined by now is waited for; who comes later finds it closed.
  open_ = false;
  while (active_ > 0) {
    if (!within([&] { return active_ == 0; })) std::this_thread::yield();
  }
}

void Pool::serve() {
  uint64_t seen = 0;
  bool useful = false;
  const auto called = [&] { return round_ != seen; };
  for (;;) {
    if (!useful || !within(called)) {
      std::unique_lock<std::mutex> lock(mutex_);
      asleep_++;
      start_.wait(lock, called);
      asleep_--;
    }
    seen = round_;
    active_++;
    useful = open_ && (*job_)();
    active_--;
  }
}

}  // namespace lrd
