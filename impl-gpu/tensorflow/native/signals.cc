// Keeps signals away from the threads that compute. oneDNN's products for AVX-512 (TensorFlow 2.21, NN and TN) keep numbers below their stack pointer, where the kernel puts
// the frame of a signal's handler: SIGINT, SIGCHLD or the ticks of `node --cpu-prof` during a product end in "corrupted size vs. prev_size".
//
// What the process gets is blocked in the thread that loads the addon, and so in those that TensorFlow starts from it: one of Node's other threads takes it, and libuv's
// handler hands it to the loop from whichever. Node's children start with nothing blocked. What a thread is sent by itself, as V8's ticks are, goes to a stack of its own.
#if defined(__linux__) && defined(__x86_64__)
#include <pthread.h>
#include <signal.h>

#include <cstdlib>

namespace lrd {
namespace {

constexpr size_t kStack = size_t{1} << 16;
// Of what a thread does itself, and V8's clock.
constexpr int kOwn[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};

[[maybe_unused]] const bool kept = [] {
  sigset_t blocked;
  sigfillset(&blocked);
  for (const int signal : kOwn) sigdelset(&blocked, signal);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  stack_t now;
  if (sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return true;
  // Until the thread ends.
  stack_t stack = {};
  stack.ss_sp = std::malloc(kStack);
  stack.ss_size = kStack;
  if (stack.ss_sp != nullptr) sigaltstack(&stack, nullptr);
  return true;
}();

}  // namespace
}  // namespace lrd
#endif
