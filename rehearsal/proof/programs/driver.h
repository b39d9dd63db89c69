/* The part of CUDA's driver API that the programs in this folder call.
 *
 * Nothing of CUDA is needed to compile them, and nothing is linked: libcuda.so.1, which comes with the
 * driver, is loaded at run time. The declarations follow NVIDIA's cuda.h; names with _v2 are those that its
 * macros stand for. Build: cc -O2 -o card-test card-test.c -ldl
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef int Result; /* CUresult: 0 is success */
typedef int Device;
typedef uint64_t Address; /* CUdeviceptr */
typedef struct Context_ *Context;
typedef struct Module_ *Module;
typedef struct Function_ *Function;

#define SYMBOLS(each)                                                                                        \
  each(cuInit, (unsigned flags))                                                                             \
  each(cuDeviceGetCount, (int *count))                                                                       \
  each(cuDeviceGet, (Device *, int number))                                                                  \
  each(cuDeviceGetName, (char *text, int size, Device))                                                      \
  each(cuDeviceGetUuid, (unsigned char *sixteen_bytes, Device))                                              \
  each(cuDevicePrimaryCtxRetain, (Context *, Device))                                                        \
  each(cuCtxSetCurrent, (Context))                                                                           \
  each(cuCtxCreate_v2, (Context *, unsigned flags, Device))                                                  \
  each(cuCtxSynchronize, (void))                                                                             \
  each(cuModuleLoadData, (Module *, const void *image))                                                      \
  each(cuModuleGetFunction, (Function *, Module, const char *name))                                          \
  each(cuMemGetInfo_v2, (size_t *left, size_t *total))                                                       \
  each(cuMemAlloc_v2, (Address *, size_t bytes))                                                             \
  each(cuMemsetD32_v2, (Address, unsigned value, size_t words))                                              \
  each(cuMemcpyHtoD_v2, (Address, const void *, size_t bytes))                                               \
  each(cuMemcpyDtoH_v2, (void *, Address, size_t bytes))                                                     \
  each(cuLaunchKernel, (Function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,       \
                        unsigned block_y, unsigned block_z, unsigned shared_bytes, void *stream,             \
                        void **arguments, void **extra))                                                     \
  each(cuGetErrorName, (Result, const char **))                                                              \
  each(cuGetErrorString, (Result, const char **))

#define DECLARE(name, arguments) Result(*name) arguments;
static struct {
  SYMBOLS(DECLARE)
} cuda;
#undef DECLARE

static char problem[512]; /* of the first call that failed: its name, the error's text, number and name */

/* Loads libcuda.so.1 and finds its functions. Returns 0, or -1 with `problem` set. */
static inline int load_driver(void) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) {
    snprintf(problem, sizeof problem, "%s", dlerror());
    return -1;
  }
#define FIND(name, arguments)                                                                                \
  if (!(*(void **)&cuda.name = dlsym(library, #name))) {                                                     \
    snprintf(problem, sizeof problem, "libcuda.so.1 has no function %s", #name);                             \
    return -1;                                                                                               \
  }
  SYMBOLS(FIND)
#undef FIND
  return 0;
}

/* Returns 0, or -1 with `problem` set when `result` is an error of `call`. */
static inline int check(Result result, const char *call) {
  const char *name = NULL, *text = NULL;
  if (result == 0) return 0;
  cuda.cuGetErrorName(result, &name);
  cuda.cuGetErrorString(result, &text);
  snprintf(problem, sizeof problem, "%.*s: %s (%d %s)", (int)strcspn(call, "_"), call,
           text ? text : "unknown error", result, name ? name : "unknown");
  return -1;
}

/* Calls a function of the driver: -1 with `problem` set when it fails, else 0. */
#define CALL(name, ...) check(cuda.name(__VA_ARGS__), #name)

/* Starts the driver and finds the first device. Returns 0, or -1 with `problem` set. */
static inline int find_device(Device *device) {
  return load_driver() || CALL(cuInit, 0) || CALL(cuDeviceGet, device, 0) ? -1 : 0;
}

/* Makes the device's primary context that of this thread. Returns 0, or -1 with `problem` set. */
static inline int use_device(Device device) {
  Context context;
  return CALL(cuDevicePrimaryCtxRetain, &context, device) || CALL(cuCtxSetCurrent, context) ? -1 : 0;
}

/* Loads a kernel from PTX text, which the driver compiles for the card. Returns 0, or -1. */
static inline int load_kernel(const char *ptx, const char *name, Function *kernel) {
  Module module;
  if (CALL(cuModuleLoadData, &module, ptx) || CALL(cuModuleGetFunction, kernel, module, name)) return -1;
  return 0;
}

/* Launches a kernel with one dimension, without waiting for its end. */
static inline int launch(Function kernel, unsigned blocks, unsigned threads, void **arguments) {
  return CALL(cuLaunchKernel, kernel, blocks, 1, 1, threads, 1, 1, 0, NULL, arguments, NULL);
}

/* The seconds of a clock that is never set. */
static inline double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

#endif
