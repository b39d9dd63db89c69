/* Partitions under MIG. Each is a GPU instance with one compute instance that has all of it. The number of an instance
 * is its index plus one, because 0 is the whole card. */
#include "library.h"

#include <string.h>

#define COMPUTE_INSTANCE 0U

struct nvmlGpuInstance_st {
    unsigned card, partition;
};

struct nvmlComputeInstance_st {
    unsigned card, partition;
};

static struct nvmlGpuInstance_st gpu_instances[MAX_CARDS][MAX_PARTITIONS];
static struct nvmlComputeInstance_st compute_instances[MAX_CARDS][MAX_PARTITIONS];

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *current, unsigned int *pending) {
    TRY(check_device(device));
    if (!library_facts()->mig_capable)
        return NVML_ERROR_NOT_SUPPORTED;
    *current = *pending = library_facts()->partitions ? NVML_DEVICE_MIG_ENABLE : NVML_DEVICE_MIG_DISABLE;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *is_partition) {
    TRY(check_device(device));
    *is_partition = device.handle->partition >= 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count) {
    TRY(check_device(device));
    *count = library_facts()->mig_capable ? MAX_PARTITIONS - 1 : 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *partition) {
    TRY(check_device(device));
    if (index >= library_facts()->partitions)
        return NVML_ERROR_NOT_FOUND;
    *partition = partition_handle(device.handle->card, index);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t partition, nvmlDevice_t *device) {
    TRY(check_partition(partition));
    *device = card_handle(partition.handle->card);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t partition, unsigned int *id) {
    TRY(check_partition(partition));
    *id = (unsigned)partition.handle->partition + 1;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t partition, unsigned int *id) {
    TRY(check_partition(partition));
    *id = COMPUTE_INSTANCE;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t partition, nvmlDeviceAttributes_t *attributes) {
    TRY(check_partition(partition));
    const struct partition *part = partition_of(partition);
    *attributes = (nvmlDeviceAttributes_t){
        .multiprocessorCount = part->multiprocessors,
        .sharedCopyEngineCount = part->copy,
        .sharedDecoderCount = part->decoders,
        .sharedEncoderCount = part->encoders,
        .sharedJpegCount = part->jpeg,
        .sharedOfaCount = part->ofa,
        .gpuInstanceSliceCount = part->slices,
        .computeInstanceSliceCount = part->slices,
        .memorySizeMB = part->memory_mib,
    };
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *instance) {
    TRY(check_device(device));
    if (id == 0 || id > library_facts()->partitions)
        return NVML_ERROR_NOT_FOUND;
    instance->handle = &gpu_instances[device.handle->card][id - 1];
    *instance->handle = (struct nvmlGpuInstance_st){device.handle->card, id - 1};
    return NVML_SUCCESS;
}

/* The number of a profile on this device is NVML's number of the profile. */
nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t device, unsigned int profile,
                                                 nvmlGpuInstanceProfileInfo_t *info) {
    TRY(check_device(device));
    for (unsigned index = 0; index < library_facts()->partitions; index++) {
        const struct partition *part = &library_facts()->partition[index];
        if (part->profile != profile)
            continue;
        *info = (nvmlGpuInstanceProfileInfo_t){
            .id = profile,
            .sliceCount = part->slices,
            .instanceCount = library_facts()->partitions,
            .multiprocessorCount = part->multiprocessors,
            .copyEngineCount = part->copy,
            .decoderCount = part->decoders,
            .encoderCount = part->encoders,
            .jpegCount = part->jpeg,
            .ofaCount = part->ofa,
            .memorySizeMB = part->memory_mib,
        };
        return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t instance, nvmlGpuInstanceInfo_t *info) {
    memset(info, 0, sizeof *info);
    info->device = card_handle(instance.handle->card);
    info->id = instance.handle->partition + 1;
    info->profileId = library_facts()->partition[instance.handle->partition].profile;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstanceById(nvmlGpuInstance_t instance, unsigned int id,
                                                   nvmlComputeInstance_t *compute) {
    if (id != COMPUTE_INSTANCE)
        return NVML_ERROR_NOT_FOUND;
    compute->handle = &compute_instances[instance.handle->card][instance.handle->partition];
    *compute->handle = (struct nvmlComputeInstance_st){instance.handle->card, instance.handle->partition};
    return NVML_SUCCESS;
}

static unsigned compute_profile(unsigned slices) {
    switch (slices) {
    case 1:
        return NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE;
    case 2:
        return NVML_COMPUTE_INSTANCE_PROFILE_2_SLICE;
    case 3:
        return NVML_COMPUTE_INSTANCE_PROFILE_3_SLICE;
    case 4:
        return NVML_COMPUTE_INSTANCE_PROFILE_4_SLICE;
    default:
        return NVML_COMPUTE_INSTANCE_PROFILE_7_SLICE;
    }
}

nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfo(nvmlGpuInstance_t instance, unsigned int profile,
                                                          unsigned int engines,
                                                          nvmlComputeInstanceProfileInfo_t *info) {
    const struct partition *part = &library_facts()->partition[instance.handle->partition];
    if (profile != compute_profile(part->slices) || engines != NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED)
        return NVML_ERROR_NOT_SUPPORTED;
    *info = (nvmlComputeInstanceProfileInfo_t){
        .id = profile,
        .sliceCount = part->slices,
        .instanceCount = 1,
        .multiprocessorCount = part->multiprocessors,
        .sharedCopyEngineCount = part->copy,
        .sharedDecoderCount = part->decoders,
        .sharedEncoderCount = part->encoders,
        .sharedJpegCount = part->jpeg,
        .sharedOfaCount = part->ofa,
    };
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlComputeInstanceGetInfo_v2(nvmlComputeInstance_t compute, nvmlComputeInstanceInfo_t *info) {
    memset(info, 0, sizeof *info);
    info->device = card_handle(compute.handle->card);
    info->id = COMPUTE_INSTANCE;
    info->profileId = compute_profile(library_facts()->partition[compute.handle->partition].slices);
    return NVML_SUCCESS;
}
