/* misbehave WAY: harms whoever shares the first CUDA device with it, in one way:
 *
 *   take-memory     takes all memory that it gets, and keeps it
 *   hold-memory     takes 80 % of the card's memory in one piece, and does nothing
 *   illegal-address writes to an address that is not its own
 *   trap            ends a kernel by a trap, as a failed assertion does
 *   endless-kernel  fills the card with one kernel that does not end
 *   long-kernels    fills the card with kernels of 200 ms, one after the other
 *   many-contexts   makes up to 64 contexts within 5 s, and keeps all of them busy
 *
 * It prints `begun: ...` when the harm is under way, or `failed: ...` with CUDA's error, and stays until it
 * is killed. Its endless kernel ends after 15 s, and the program after 30 s, so that no card stays occupied
 * when nobody kills it. It never asks for managed memory and changes no setting of the card.
 */
#include "driver.h"

#include <stdlib.h>
#include <unistd.h>

/* spin: runs until so many nanoseconds after the first thread's start, which `start` keeps.
 * touch: writes to an address. fail: traps. */
static const char *PTX = ".version 5.0\n"
                         ".target sm_50\n"
                         ".address_size 64\n"
                         ".visible .entry spin(.param .u64 start, .param .u64 nanoseconds) {\n"
                         "  .reg .pred %p<3>;\n"
                         "  .reg .b64 %d<8>;\n"
                         "  ld.param.u64 %d1, [start];\n"
                         "  ld.param.u64 %d2, [nanoseconds];\n"
                         "  mov.u64 %d3, %globaltimer;\n"
                         "  mov.u64 %d4, 0;\n"
                         "  atom.global.cas.b64 %d5, [%d1], %d4, %d3;\n"
                         "  setp.eq.u64 %p1, %d5, 0;\n"
                         "  selp.b64 %d5, %d3, %d5, %p1;\n"
                         "  add.u64 %d6, %d5, %d2;\n"
                         "AGAIN:\n"
                         "  mov.u64 %d7, %globaltimer;\n"
                         "  setp.lt.u64 %p2, %d7, %d6;\n"
                         "  @%p2 bra AGAIN;\n"
                         "  ret;\n"
                         "}\n"
                         ".visible .entry touch(.param .u64 address) {\n"
                         "  .reg .b64 %d<2>;\n"
                         "  .reg .b32 %r<2>;\n"
                         "  ld.param.u64 %d1, [address];\n"
                         "  mov.u32 %r1, 1;\n"
                         "  st.global.u32 [%d1], %r1;\n"
                         "  ret;\n"
                         "}\n"
                         ".visible .entry fail() {\n"
                         "  trap;\n"
                         "  ret;\n"
                         "}\n";

enum { BLOCKS = 4096, THREADS = 1024, CONTEXTS = 64, QUEUE = 8, MOST_SECONDS = 30 };
static const uint64_t MILLISECOND = 1000 * 1000, NOT_OURS = 0x10;

static int begun(const char *text) {
  printf("begun: %s\n", text);
  return 0;
}

static int stay(void) {
  sleep(MOST_SECONDS);
  return 0;
}

static int take_memory(void) {
  size_t left, total, taken = 0;
  Address address;
  char text[160];
  if (CALL(cuMemGetInfo_v2, &left, &total)) return -1;
  for (size_t piece = (size_t)1 << 30; piece >= (size_t)1 << 20; piece /= 2)
    while (!CALL(cuMemAlloc_v2, &address, piece))
      taken += piece;
  snprintf(text, sizeof text, "%zu of %zu MiB taken", taken >> 20, total >> 20);
  return begun(text) || stay();
}

static int hold_memory(void) {
  size_t left, total;
  Address address;
  char text[160];
  if (CALL(cuMemGetInfo_v2, &left, &total)) return -1;
  total = total / 100 * 80;
  if (CALL(cuMemAlloc_v2, &address, total)) return -1;
  snprintf(text, sizeof text, "%zu MiB taken", total >> 20);
  return begun(text) || stay();
}

static int run_kernel(const char *name, void **arguments) {
  Function kernel;
  if (load_kernel(PTX, name, &kernel) || launch(kernel, 1, 1, arguments)) return -1;
  return CALL(cuCtxSynchronize);
}

static int illegal_address(void) {
  uint64_t address = NOT_OURS;
  void *arguments[] = {&address};
  return run_kernel("touch", arguments) || begun("no error") || stay();
}

static int trap(void) { return run_kernel("fail", NULL) || begun("no error") || stay(); }

/* Memory for the starts of so many kernels that spin, all zero. */
static int make_starts(Address *starts, size_t count) {
  if (CALL(cuMemAlloc_v2, starts, count * sizeof(uint64_t))) return -1;
  return CALL(cuMemsetD32_v2, *starts, 0, 2 * count) || CALL(cuCtxSynchronize) ? -1 : 0;
}

static int spin(Function kernel, Address start, uint64_t nanoseconds) {
  void *arguments[] = {&start, &nanoseconds};
  return launch(kernel, BLOCKS, THREADS, arguments);
}

static int endless_kernel(void) {
  Function kernel;
  Address start;
  if (load_kernel(PTX, "spin", &kernel) || make_starts(&start, 1)) return -1;
  if (spin(kernel, start, 15000 * MILLISECOND) || begun("launched")) return -1;
  return CALL(cuCtxSynchronize) || stay();
}

static int long_kernels(void) {
  Function kernel;
  Address starts;
  if (load_kernel(PTX, "spin", &kernel)) return -1;
  for (double end = now() + MOST_SECONDS, first = 1; now() < end; first = 0) {
    if (make_starts(&starts, QUEUE)) return -1;
    for (unsigned i = 0; i < QUEUE; i++)
      if (spin(kernel, starts + i * sizeof(uint64_t), 200 * MILLISECOND)) return -1;
    if (first && begun("launched")) return -1;
    if (CALL(cuCtxSynchronize)) return -1;
  }
  return 0;
}

static int many_contexts(void) {
  static Context contexts[CONTEXTS];
  static Function kernels[CONTEXTS];
  static Address starts[CONTEXTS];
  unsigned made = 0;
  char text[600] = "";
  const size_t launches = 4096;
  for (double end = now() + 5; made < CONTEXTS && now() < end; made++)
    if (CALL(cuCtxCreate_v2, &contexts[made], 0, 0) || load_kernel(PTX, "spin", &kernels[made]) ||
        make_starts(&starts[made], launches))
      break;
  snprintf(text, sizeof text, "%u contexts%s%s", made, *problem ? ", then " : "", problem);
  if (made == 0 || begun(text)) return -1;
  const double end = now() + MOST_SECONDS;
  for (size_t number = 0; number < launches && now() < end; number++) {
    for (unsigned i = 0; i < made; i++)
      if (CALL(cuCtxSetCurrent, contexts[i]) ||
          spin(kernels[i], starts[i] + number * sizeof(uint64_t), 5 * MILLISECOND))
        return -1;
    for (unsigned i = 0; number % QUEUE == QUEUE - 1 && i < made; i++)
      if (CALL(cuCtxSetCurrent, contexts[i]) || CALL(cuCtxSynchronize)) return -1;
  }
  return 0;
}

static const struct {
  const char *name;
  int (*run)(void);
} WAYS[] = {
    {"take-memory", take_memory},       {"hold-memory", hold_memory},   {"illegal-address", illegal_address},
    {"trap", trap},                     {"long-kernels", long_kernels}, {"endless-kernel", endless_kernel},
    {"many-contexts", many_contexts},
};

int main(int count, char **words) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; count == 2 && i < sizeof WAYS / sizeof *WAYS; i++) {
    if (strcmp(words[1], WAYS[i].name) != 0) continue;
    Device device;
    if (!find_device(&device) && !use_device(device) && !WAYS[i].run()) return 0;
    printf("failed: %s\n", problem);
    return 1;
  }
  fprintf(stderr, "usage: misbehave WAY, one of:");
  for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++)
    fprintf(stderr, " %s", WAYS[i].name);
  fprintf(stderr, "\n");
  return 2;
}
