/* A libcuda.so.1 without a card, for the tests of the CUDA programs: it knows their kernels by name.
 * FAKE_CUDA_DEVICES=0: cuInit finds no card. FAKE_CUDA_MEMORY_MIB: memory of the card. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int R;
typedef uint64_t P;
static size_t taken;
static R sticky;
static uint64_t busy_nanoseconds;

static size_t total(void) {
  const char *text = getenv("FAKE_CUDA_MEMORY_MIB");
  return (size_t)(text ? atoi(text) : 1024) << 20;
}

R cuInit(unsigned flags) {
  const char *devices = getenv("FAKE_CUDA_DEVICES");
  return devices && strcmp(devices, "0") == 0 ? 100 : (R)flags;
}
R cuDeviceGetCount(int *count) { return *count = 1, 0; }
R cuDeviceGet(int *device, int number) { return *device = number, 0; }
R cuDeviceGetName(char *text, int size, int device) {
  return strncpy(text, "Fake card", (size_t)size), device;
}
R cuDeviceGetUuid(unsigned char *bytes, int device) {
  for (int i = 0; i < 16; i++) bytes[i] = (unsigned char)(i * 17);
  return device;
}
R cuDevicePrimaryCtxRetain(void **context, int device) { return *context = &taken, device; }
R cuCtxSetCurrent(void *context) { return context ? 0 : 201; }
R cuCtxCreate_v2(void **context, unsigned flags, int device) { return *context = &taken, (R)flags + device; }
R cuCtxSynchronize(void) {
  usleep((useconds_t)(busy_nanoseconds / 1000));
  busy_nanoseconds = 0;
  return sticky;
}
R cuModuleLoadData(void **module, const void *image) { return *module = (void *)image, 0; }
R cuModuleGetFunction(void **function, void *module, const char *name) {
  return *function = (void *)name, strstr(module, name) ? 0 : 500;
}
R cuMemGetInfo_v2(size_t *left, size_t *all) { return *all = total(), *left = *all - taken, 0; }
R cuMemAlloc_v2(P *address, size_t bytes) {
  if (taken + bytes > total()) return 2;
  taken += bytes;
  *address = (P)(uintptr_t)malloc(bytes);
  return 0;
}
R cuMemsetD32_v2(P to, unsigned value, size_t words) {
  for (size_t i = 0; i < words; i++) ((unsigned *)(uintptr_t)to)[i] = value;
  return sticky;
}
R cuMemcpyHtoD_v2(P to, const void *from, size_t bytes) {
  return memcpy((void *)(uintptr_t)to, from, bytes), sticky;
}
R cuMemcpyDtoH_v2(void *to, P from, size_t bytes) {
  return memcpy(to, (void *)(uintptr_t)from, bytes), sticky;
}
R cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                 unsigned shared, void *stream, void **a, void **extra) {
  (void)gy, (void)gz, (void)by, (void)bz, (void)shared, (void)stream, (void)extra;
  if (strcmp(function, "touch") == 0) sticky = 700;
  if (strcmp(function, "fail") == 0) sticky = 719;
  if (strcmp(function, "spin") == 0) busy_nanoseconds += *(uint64_t *)a[1];
  if (strcmp(function, "add") == 0) {
    float *x = (float *)(uintptr_t) * (P *)a[0], *y = (float *)(uintptr_t) * (P *)a[1];
    float *sum = (float *)(uintptr_t) * (P *)a[2];
    unsigned length = *(unsigned *)a[3], rounds = *(unsigned *)a[4];
    if (length > gx * bx) return 1;
    for (unsigned i = 0; i < length; i++) sum[i] = x[i] + (float)rounds * y[i];
  }
  return 0;
}
R cuGetErrorName(R result, const char **text) {
  *text = result == 100   ? "CUDA_ERROR_NO_DEVICE"
          : result == 2   ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : result == 719 ? "CUDA_ERROR_LAUNCH_FAILED"
                          : "CUDA_ERROR_OTHER";
  return 0;
}
R cuGetErrorString(R result, const char **text) { return *text = "text of the error", result * 0; }
