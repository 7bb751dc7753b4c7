// Keeps signals away from the threads that compute. oneDNN's products for AVX-512 (TensorFlow 2.21, NN and TN) keep numbers below their stack pointer, where the kernel puts
// the frame of a signal's handler: SIGINT, SIGCHLD or the ticks of `node --cpu-prof` during a product end in "corrupted size vs. prev_size".
//
// What the process gets is blocked in the thread that loads the addon, and so in those that TensorFlow starts from it: a thread that does nothing else takes it, or another one of
// Node's, and libuv's handler hands it to the loop from whichever. Node's children start with nothing blocked. What a thread is sent by itself, as V8's ticks are, goes to a stack of its own.
#if defined(__linux__) && defined(__x86_64__)
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

namespace lrd {
namespace {

constexpr size_t kStack = size_t{1} << 16;
// Of what a thread does itself, and V8's clock.
constexpr int kOwn[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};

void* takeSignals(void*) {
  for (;;) pause();
}

[[maybe_unused]] const bool kept = [] {
  // It starts with what this thread blocks by now. Without it somebody must be able to take them: here, as ever.
  pthread_t taker;
  if (pthread_create(&taker, nullptr, takeSignals, nullptr) != 0) return false;
  pthread_detach(taker);
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
