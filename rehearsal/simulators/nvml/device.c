/* What is asked of one card, or of one partition. */
#include "library.h"

#include <stdio.h>
#include <string.h>

#define MIB (1024ULL * 1024ULL)
#define NVIDIA_VENDOR 0x10deU

static const struct card *card_of(nvmlDevice_t device) { return &library_facts()->card[device.handle->card]; }

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    TRY(check_device(device));
    return give_text(name, length, library_facts()->name);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
    TRY(check_device(device));
    int part = device.handle->partition;
    const char *text = part < 0 ? card_of(device)->uuid : card_of(device)->partition_uuids[part];
    return give_text(uuid, length, text);
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index) {
    TRY(check_device(device));
    *index = device.handle->partition < 0 ? device.handle->card : (unsigned)device.handle->partition;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minor) {
    TRY(check_device(device));
    *minor = card_of(device)->minor;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    TRY(check_device(device));
    bool whole = device.handle->partition < 0;
    unsigned mib = whole ? library_facts()->memory_mib : partition_of(device)->memory_mib;
    *memory = (nvmlMemory_t){.total = mib * MIB, .free = mib * MIB, .used = 0};
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
    TRY(check_device(device));
    *major = library_facts()->compute_major;
    *minor = library_facts()->compute_minor;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t device, nvmlBrandType_t *brand) {
    TRY(check_device(device));
    const char *name = library_facts()->name;
    *brand = strstr(name, "GeForce") ? NVML_BRAND_GEFORCE
             : strstr(name, "Tesla") ? NVML_BRAND_TESLA
                                     : NVML_BRAND_NVIDIA;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, nvmlDeviceArchitecture_t *architecture) {
    TRY(check_device(device));
    int major = library_facts()->compute_major, minor = library_facts()->compute_minor;
    switch (major) {
    case 7:
        *architecture = minor < 5 ? NVML_DEVICE_ARCH_VOLTA : NVML_DEVICE_ARCH_TURING;
        break;
    case 8:
        *architecture = minor < 9 ? NVML_DEVICE_ARCH_AMPERE : NVML_DEVICE_ARCH_ADA;
        break;
    case 9:
        *architecture = NVML_DEVICE_ARCH_HOPPER;
        break;
    case 10:
    case 12:
        *architecture = NVML_DEVICE_ARCH_BLACKWELL;
        break;
    default:
        *architecture = NVML_DEVICE_ARCH_UNKNOWN;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    TRY(check_device(device));
    const struct card *card = card_of(device);
    memset(pci, 0, sizeof *pci);
    pci->domain = card->domain;
    pci->bus = card->bus;
    pci->device = card->device;
    pci->pciDeviceId = library_facts()->pci_device << 16 | NVIDIA_VENDOR;
    snprintf(pci->busId, sizeof pci->busId, NVML_DEVICE_PCI_BUS_ID_FMT, card->domain, card->bus, card->device);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT, card->domain & 0xffffU,
             card->bus & 0xffU, card->device & 0xffU);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, nvmlComputeMode_t *mode) {
    TRY(check_device(device));
    *mode = NVML_COMPUTEMODE_DEFAULT;
    return NVML_SUCCESS;
}

/* Every two cards are reached through the host bridge: there is no NVLink. */
nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other, nvmlGpuTopologyLevel_t *level) {
    TRY(check_device(one));
    TRY(check_device(other));
    *level = one.handle->card == other.handle->card ? NVML_TOPOLOGY_INTERNAL : NVML_TOPOLOGY_HOSTBRIDGE;
    return NVML_SUCCESS;
}
