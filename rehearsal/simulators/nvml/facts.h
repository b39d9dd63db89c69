/* What the stand-in for NVIDIA's management library (NVML) knows of a machine: its driver and its cards. */
#ifndef FACTS_H
#define FACTS_H

#include <stdbool.h>

#define MAX_CARDS 16
#define MAX_PARTITIONS 8 /* of one card: no product has more */
#define UUID_SIZE 48

/* A part of a card under MIG. All cards of a machine are divided alike. */
struct partition {
    unsigned profile; /* NVML_GPU_INSTANCE_PROFILE_* */
    unsigned slices;
    unsigned memory_mib;
    unsigned multiprocessors;
    unsigned copy, decoders, encoders, jpeg, ofa; /* engines */
};

struct card {
    unsigned minor; /* of its device file, /dev/nvidia0 */
    unsigned domain, bus, device;
    char uuid[UUID_SIZE];
    char partition_uuids[MAX_PARTITIONS][UUID_SIZE];
};

struct facts {
    char driver[32]; /* "580.126.20" */
    char name[96];   /* "NVIDIA H200" */
    int cuda;        /* 13000 for 13.0 */
    unsigned memory_mib;
    int compute_major, compute_minor;
    unsigned pci_device; /* 0x2335 */
    bool mig_capable;
    unsigned cards, partitions;
    struct partition partition[MAX_PARTITIONS];
    struct card card[MAX_CARDS];
};

/* Reads the facts from the end of this library's own file. Returns whether it has any. Where the machine or container
 * has device files of NVIDIA's driver, only the cards with one are there, as with the driver. */
bool read_facts(struct facts *facts);

#endif
