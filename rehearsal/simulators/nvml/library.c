/* Initialisation, handles, and what concerns the whole system. */
#include "library.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct facts facts;
static struct nvmlDevice_st whole[MAX_CARDS];
static struct nvmlDevice_st parts[MAX_CARDS][MAX_PARTITIONS];

const struct facts *library_facts(void) { return users ? &facts : NULL; }

nvmlDevice_t card_handle(unsigned card) {
    whole[card] = (struct nvmlDevice_st){card, -1};
    return (nvmlDevice_t){&whole[card]};
}

nvmlDevice_t partition_handle(unsigned card, unsigned partition) {
    parts[card][partition] = (struct nvmlDevice_st){card, (int)partition};
    return (nvmlDevice_t){&parts[card][partition]};
}

const struct partition *partition_of(nvmlDevice_t device) { return &facts.partition[device.handle->partition]; }

nvmlReturn_t check_device(nvmlDevice_t device) {
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    return device.handle ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t check_partition(nvmlDevice_t device) {
    TRY(check_device(device));
    return device.handle->partition < 0 ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    nvmlReturn_t result = NVML_SUCCESS;
    pthread_mutex_lock(&mutex);
    if (!users && !read_facts(&facts))
        result = NVML_ERROR_DRIVER_NOT_LOADED;
    else
        users++;
    pthread_mutex_unlock(&mutex);
    return result;
}

nvmlReturn_t nvmlInit(void) { return nvmlInitWithFlags(0); }
nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

nvmlReturn_t nvmlShutdown(void) {
    nvmlReturn_t result = NVML_SUCCESS;
    pthread_mutex_lock(&mutex);
    if (users)
        users--;
    else
        result = NVML_ERROR_UNINITIALIZED;
    pthread_mutex_unlock(&mutex);
    return result;
}

/* NVML's own texts, as far as this library returns them. */
const char *nvmlErrorString(nvmlReturn_t result) {
    switch (result) {
    case NVML_SUCCESS:
        return "Success";
    case NVML_ERROR_UNINITIALIZED:
        return "Uninitialized";
    case NVML_ERROR_INVALID_ARGUMENT:
        return "Invalid Argument";
    case NVML_ERROR_NOT_SUPPORTED:
        return "Not Supported";
    case NVML_ERROR_NOT_FOUND:
        return "Not Found";
    case NVML_ERROR_INSUFFICIENT_SIZE:
        return "Insufficient Size";
    case NVML_ERROR_DRIVER_NOT_LOADED:
        return "Driver Not Loaded";
    case NVML_ERROR_TIMEOUT:
        return "Timeout";
    default:
        return "Unknown Error";
    }
}

nvmlReturn_t give_text(char *target, unsigned size, const char *text) {
    if (strlen(text) + 1 > size)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(target, text);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    return users ? give_text(version, length, facts.driver) : NVML_ERROR_UNINITIALIZED;
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length) {
    char text[48];
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    snprintf(text, sizeof text, "%d.%s", facts.cuda / 1000, facts.driver);
    return give_text(version, length, text);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    *version = facts.cuda;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    *count = facts.cards;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    if (index >= facts.cards)
        return NVML_ERROR_INVALID_ARGUMENT;
    *device = card_handle(index);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    for (unsigned card = 0; card < facts.cards; card++) {
        if (!strcmp(uuid, facts.card[card].uuid)) {
            *device = card_handle(card);
            return NVML_SUCCESS;
        }
        for (unsigned part = 0; part < facts.partitions; part++)
            if (!strcmp(uuid, facts.card[card].partition_uuids[part])) {
                *device = partition_handle(card, part);
                return NVML_SUCCESS;
            }
    }
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *address, nvmlDevice_t *device) {
    unsigned domain, bus, slot;
    if (!users)
        return NVML_ERROR_UNINITIALIZED;
    if (sscanf(address, "%x:%x:%x", &domain, &bus, &slot) != 3)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned card = 0; card < facts.cards; card++)
        if (facts.card[card].domain == domain && facts.card[card].bus == bus && facts.card[card].device == slot) {
            *device = card_handle(card);
            return NVML_SUCCESS;
        }
    return NVML_ERROR_NOT_FOUND;
}
