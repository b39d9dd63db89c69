/* card-test [--seconds N] [--interval S] [--memory-percent P]
 *
 * Adds vectors on the first CUDA device, once, and checks every sum. With --seconds it repeats for N seconds
 * (0: until SIGTERM) with a kernel that keeps the whole card busy, and prints one line of JSON every second,
 * or every S seconds. With --memory-percent it also takes so much of the card's memory.
 *
 * The last line says which card it was, how many sums were wrong, and whether the test passed; or which
 * call failed, with CUDA's error. Exit status: 0 passed, 1 failed, 2 wrong option. It never asks for managed
 * memory and changes no setting of the card.
 */
#include "driver.h"

#include <signal.h>
#include <stdlib.h>

/* c = a + rounds * b, by repeated addition. PTX for sm_50: drivers compile it for newer cards. */
static const char *PTX = ".version 5.0\n"
                         ".target sm_50\n"
                         ".address_size 64\n"
                         ".visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n,\n"
                         "                    .param .u32 rounds) {\n"
                         "  .reg .pred %p<3>;\n"
                         "  .reg .b32 %r<6>;\n"
                         "  .reg .f32 %f<3>;\n"
                         "  .reg .b64 %d<8>;\n"
                         "  mov.u32 %r1, %ctaid.x;\n"
                         "  mov.u32 %r2, %ntid.x;\n"
                         "  mov.u32 %r3, %tid.x;\n"
                         "  mad.lo.u32 %r1, %r1, %r2, %r3;\n"
                         "  ld.param.u32 %r4, [n];\n"
                         "  setp.ge.u32 %p1, %r1, %r4;\n"
                         "  @%p1 bra END;\n"
                         "  ld.param.u32 %r5, [rounds];\n"
                         "  ld.param.u64 %d1, [a];\n"
                         "  ld.param.u64 %d2, [b];\n"
                         "  ld.param.u64 %d3, [c];\n"
                         "  mul.wide.u32 %d4, %r1, 4;\n"
                         "  add.u64 %d5, %d1, %d4;\n"
                         "  add.u64 %d6, %d2, %d4;\n"
                         "  add.u64 %d7, %d3, %d4;\n"
                         "  ld.global.f32 %f1, [%d5];\n"
                         "  ld.global.f32 %f2, [%d6];\n"
                         "AGAIN:\n"
                         "  add.f32 %f1, %f1, %f2;\n"
                         "  sub.u32 %r5, %r5, 1;\n"
                         "  setp.ne.u32 %p2, %r5, 0;\n"
                         "  @%p2 bra AGAIN;\n"
                         "  st.global.f32 [%d7], %f1;\n"
                         "END:\n"
                         "  ret;\n"
                         "}\n";

enum { LENGTH = 1 << 22, THREADS = 256, BUSY_ROUNDS = 2048, MOST_LAUNCHES = 1 << 16 };

static volatile sig_atomic_t stopped;

static struct {
  int devices;
  char card[256]; /* name and UUID */
  Function add;
  Address a, b, c;
  float *host_a, *host_b, *host_c;
} test;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static int by_size(const void *one, const void *other) {
  double difference = *(const double *)one - *(const double *)other;
  return (difference > 0) - (difference < 0);
}

/* Finds the first device and writes its name and UUID into test.card. */
static int find_card(void) {
  char name[128] = "";
  unsigned char uuid[16];
  Device device;
  if (find_device(&device) || CALL(cuDeviceGetCount, &test.devices)) return -1;
  if (CALL(cuDeviceGetName, name, sizeof name, device) || CALL(cuDeviceGetUuid, uuid, device)) return -1;
  int used = snprintf(test.card, sizeof test.card, ", %s, UUID GPU", name);
  for (int byte = 0; byte < 16; byte++) {
    int begins_group = byte == 0 || byte == 4 || byte == 6 || byte == 8 || byte == 10;
    const char *dash = begins_group ? "-" : "";
    used += snprintf(test.card + used, sizeof test.card - (size_t)used, "%s%02x", dash, uuid[byte]);
  }
  return use_device(device);
}

/* Takes so much of the card's memory, in one piece. */
static int take_memory(double percent) {
  size_t left, total;
  Address address;
  if (percent <= 0) return 0;
  if (CALL(cuMemGetInfo_v2, &left, &total)) return -1;
  return CALL(cuMemAlloc_v2, &address, (size_t)((double)total / 100 * percent));
}

/* Puts the vectors and the kernel on the card. The numbers are small integers, so that every sum is exact. */
static int prepare(void) {
  size_t bytes = LENGTH * sizeof(float);
  test.host_a = malloc(bytes);
  test.host_b = malloc(bytes);
  test.host_c = malloc(bytes);
  if (!test.host_a || !test.host_b || !test.host_c) {
    snprintf(problem, sizeof problem, "this machine has no %zu bytes of memory left", 3 * bytes);
    return -1;
  }
  for (unsigned i = 0; i < LENGTH; i++) {
    test.host_a[i] = (float)(i % 1009);
    test.host_b[i] = (float)(i % 7);
  }
  if (load_kernel(PTX, "add", &test.add)) return -1;
  if (CALL(cuMemAlloc_v2, &test.a, bytes) || CALL(cuMemAlloc_v2, &test.b, bytes) ||
      CALL(cuMemAlloc_v2, &test.c, bytes))
    return -1;
  if (CALL(cuMemcpyHtoD_v2, test.a, test.host_a, bytes)) return -1;
  return CALL(cuMemcpyHtoD_v2, test.b, test.host_b, bytes);
}

static int add_once(unsigned rounds) {
  unsigned length = LENGTH;
  void *arguments[] = {&test.a, &test.b, &test.c, &length, &rounds};
  return launch(test.add, LENGTH / THREADS, THREADS, arguments) || CALL(cuCtxSynchronize) ? -1 : 0;
}

static int clear_sums(void) {
  return CALL(cuMemsetD32_v2, test.c, 0xffffffffu, LENGTH) || CALL(cuCtxSynchronize) ? -1 : 0;
}

/* Counts the wrong sums of the last launch. Returns it, or -1 with `problem` set. */
static long count_wrong(unsigned rounds) {
  long wrong = 0;
  if (CALL(cuMemcpyDtoH_v2, test.host_c, test.c, LENGTH * sizeof(float))) return -1;
  for (unsigned i = 0; i < LENGTH; i++)
    wrong += test.host_c[i] != test.host_a[i] + (float)rounds * test.host_b[i];
  return wrong;
}

/* Repeats the addition for one interval and prints its line. Returns the wrong sums, or -1. */
static long one_interval(double since, double seconds) {
  static double milliseconds[MOST_LAUNCHES];
  size_t launches = 0;
  double begin = now();
  if (clear_sums()) return -1;
  while (launches == 0 || (now() - begin < seconds && launches < MOST_LAUNCHES && !stopped)) {
    double before = now();
    if (add_once(BUSY_ROUNDS)) return -1;
    milliseconds[launches++] = (now() - before) * 1000;
  }
  long wrong = count_wrong(BUSY_ROUNDS);
  if (wrong < 0) return -1;
  qsort(milliseconds, launches, sizeof *milliseconds, by_size);
  double tenths = (double)(long)((now() - since) * 10 + 0.5);
  printf("{\"seconds\":%g,\"launches\":%zu,\"median_ms\":%.3f,\"longest_ms\":%.3f,\"wrong\":%ld}\n",
         tenths / 10, launches, milliseconds[launches / 2], milliseconds[launches - 1], wrong);
  return wrong;
}

static struct {
  double seconds, interval, memory_percent;
} options = {-1, 1, 0};

/* Runs the test once or for so many seconds. Returns the wrong sums, or -1 with `problem` set. */
static long run(void) {
  if (find_card() || prepare() || take_memory(options.memory_percent)) return -1;
  if (options.seconds < 0) return clear_sums() || add_once(1) ? -1 : count_wrong(1);
  long wrong = 0;
  for (double since = now(); !stopped && (options.seconds == 0 || now() - since < options.seconds);) {
    long more = one_interval(since, options.interval);
    if (more < 0) return -1;
    wrong += more;
  }
  return wrong;
}

/* Reads an option's number, at most `most`. Returns 0, or -1 when it is none. */
static int read_number(const char *text, double most, double *number) {
  char *rest;
  *number = strtod(text, &rest);
  return rest != text && !*rest && *number >= 0 && *number <= most ? 0 : -1;
}

static int read_options(int count, char **words) {
  int at = 1;
  for (; at + 1 < count; at += 2) {
    const char *name = words[at], *value = words[at + 1];
    int failed = -1;
    if (strcmp(name, "--seconds") == 0) failed = read_number(value, 1e9, &options.seconds);
    if (strcmp(name, "--interval") == 0) failed = read_number(value, 60, &options.interval);
    if (strcmp(name, "--memory-percent") == 0) failed = read_number(value, 100, &options.memory_percent);
    if (failed) return -1;
  }
  return at == count ? 0 : -1;
}

int main(int count, char **words) {
  if (read_options(count, words)) {
    fprintf(stderr, "usage: card-test [--seconds N] [--interval S] [--memory-percent P]\n");
    return 2;
  }
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  setvbuf(stdout, NULL, _IOLBF, 0);
  long wrong = run();
  if (wrong < 0) {
    printf("%d device(s)%s: %s: Test FAILED\n", test.devices, test.card, problem);
    return 1;
  }
  printf("%d device(s)%s, wrong %ld: Test %s\n", test.devices, test.card, wrong, wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
