/* What the files of the stand-in for NVML share. The header nvml.h is NVIDIA's own. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "facts.h"
#include "nvml.h"

/* A card, or a partition of one. */
struct nvmlDevice_st {
    unsigned card;
    int partition; /* -1: the whole card */
};

/* The facts, or NULL before nvmlInit. */
const struct facts *library_facts(void);

/* Whether the library is initialised and `device` one of its handles; else the error to return. */
nvmlReturn_t check_device(nvmlDevice_t device);
/* The same, and `device` a partition. */
nvmlReturn_t check_partition(nvmlDevice_t device);

nvmlDevice_t card_handle(unsigned card);
nvmlDevice_t partition_handle(unsigned card, unsigned partition);
const struct partition *partition_of(nvmlDevice_t device);

/* Copies `text` into an answer of `size` bytes, if it fits. */
nvmlReturn_t give_text(char *target, unsigned size, const char *text);

/* Returns the value of a check from the calling function unless it is NVML_SUCCESS. */
#define TRY(check)                                                                                                \
    do {                                                                                                          \
        nvmlReturn_t result_ = (check);                                                                           \
        if (result_ != NVML_SUCCESS)                                                                              \
            return result_;                                                                                       \
    } while (0)

#endif
