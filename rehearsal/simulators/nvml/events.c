/* Health events. No card ever fails, so each wait ends with its time. */
#include "library.h"

#include <stdlib.h>
#include <time.h>

struct nvmlEventSet_st {
    int unused;
};

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    if (!library_facts())
        return NVML_ERROR_UNINITIALIZED;
    set->handle = calloc(1, sizeof *set->handle);
    return set->handle ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
    free(set.handle);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *types) {
    TRY(check_device(device));
    *types = nvmlEventTypeXidCriticalError | nvmlEventTypeDoubleBitEccError | nvmlEventTypeSingleBitEccError;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set) {
    (void)types;
    TRY(check_device(device));
    return set.handle ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int milliseconds) {
    (void)data;
    if (!set.handle)
        return NVML_ERROR_INVALID_ARGUMENT;
    struct timespec left = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000L};
    while (nanosleep(&left, &left))
        ;
    return NVML_ERROR_TIMEOUT;
}

nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int milliseconds) {
    return nvmlEventSetWait_v2(set, data, milliseconds);
}
