// The threads of this package's operations.
#ifndef LEARNING_RATE_DROPOUT_POOL_H_
#define LEARNING_RATE_DROPOUT_POOL_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>

namespace lrd {

// What becomes of numbers below 2^-126: an optimizer's state keeps them, products take 0 for them, as TensorFlow's do.
enum class Subnormals { kKept, kFlushed };

// Threads that end with the process. One that has found work looks out for more for a while before it sleeps: waking one takes as long as a small product.
class Pool {
 public:
  static Pool& instance();

  // How many work: TF_NUM_INTRAOP_THREADS, else the processors that this process may use, by its affinity and its control groups.
  size_t threads() const { return helpers_ + 1; }

  // Calls work(i) for every i below count, on all threads, this one included; those that sleep are not waited for. Throws what it throws, when all have ended.
  void each(size_t count, Subnormals subnormals, const std::function<void(size_t)>& work);
  // The same on this thread alone.
  void alone(size_t count, Subnormals subnormals, const std::function<void(size_t)>& work);

 private:
  explicit Pool(size_t helpers);
  void serve();
  // Calls `take` on all threads that are there while this one does.
  void share(size_t count, const std::function<bool()>& take);

  const size_t helpers_;
  // Operations of several threads of JavaScript take turns.
  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable start_;
  const std::function<bool()>* job_ = nullptr;
  std::atomic<bool> open_{false};
  std::atomic<uint64_t> round_{0};
  std::atomic<size_t> active_{0};
  // Under the mutex.
  size_t asleep_ = 0;
};

}  // namespace lrd

#endif  // LEARNING_RATE_DROPOUT_POOL_H_
