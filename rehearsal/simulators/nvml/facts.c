/* The facts are lines of KEY=VALUE behind the last marker in the library's own file. So whatever carries the library into
 * a container carries the cards with it, as with a driver, and no other file is needed there. */
#define _GNU_SOURCE
#include "facts.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_SIZE 8192

/* Split, so that the program text does not have the marker itself. */
static const char *const MARKER[] = {"\nnvml-stand-in", "-facts\n"};

static void copy(char *target, size_t size, const char *value) { snprintf(target, size, "%s", value); }

static void read_card(struct facts *facts, char *value) {
    if (facts->cards == MAX_CARDS)
        return;
    struct card *card = &facts->card[facts->cards++];
    char *rest = NULL;
    char *word = strtok_r(value, " ", &rest);
    card->minor = facts->cards - 1;
    if (word)
        sscanf(word, "%x:%x:%x", &card->domain, &card->bus, &card->device);
    word = strtok_r(NULL, " ", &rest);
    copy(card->uuid, sizeof card->uuid, word ? word : "");
    for (unsigned index = 0; index < MAX_PARTITIONS && (word = strtok_r(NULL, " ", &rest)); index++)
        copy(card->partition_uuids[index], UUID_SIZE, word);
}

static void read_partition(struct facts *facts, const char *value) {
    if (facts->partitions == MAX_PARTITIONS)
        return;
    struct partition *part = &facts->partition[facts->partitions++];
    sscanf(value, "%u %u %u %u %u %u %u %u %u", &part->profile, &part->slices, &part->memory_mib,
           &part->multiprocessors, &part->copy, &part->decoders, &part->encoders, &part->jpeg, &part->ofa);
}

static void read_line(struct facts *facts, char *line) {
    char *value = strchr(line, '=');
    if (!value)
        return;
    *value++ = '\0';
    int major = 0, minor = 0;
    if (!strcmp(line, "driver"))
        copy(facts->driver, sizeof facts->driver, value);
    else if (!strcmp(line, "name"))
        copy(facts->name, sizeof facts->name, value);
    else if (!strcmp(line, "cuda") && sscanf(value, "%d.%d", &major, &minor) == 2)
        facts->cuda = 1000 * major + 10 * minor;
    else if (!strcmp(line, "memoryMiB"))
        facts->memory_mib = (unsigned)strtoul(value, NULL, 10);
    else if (!strcmp(line, "compute"))
        sscanf(value, "%d.%d", &facts->compute_major, &facts->compute_minor);
    else if (!strcmp(line, "pciDevice"))
        facts->pci_device = (unsigned)strtoul(value, NULL, 16);
    else if (!strcmp(line, "migCapable"))
        facts->mig_capable = !strcmp(value, "true");
    else if (!strcmp(line, "card"))
        read_card(facts, value);
    else if (!strcmp(line, "partition"))
        read_partition(facts, value);
}

static void drop_cards_without_device_file(struct facts *facts) {
    unsigned kept = 0;
    if (access("/dev/nvidiactl", F_OK))
        return;
    for (unsigned index = 0; index < facts->cards; index++) {
        char path[32];
        snprintf(path, sizeof path, "/dev/nvidia%u", facts->card[index].minor);
        if (!access(path, F_OK))
            facts->card[kept++] = facts->card[index];
    }
    facts->cards = kept;
}

static FILE *open_own_file(void) {
    Dl_info info;
    return dladdr((void *)read_facts, &info) ? fopen(info.dli_fname, "rb") : NULL;
}

bool read_facts(struct facts *facts) {
    static char tail[TAIL_SIZE + 1];
    char marker[32];
    snprintf(marker, sizeof marker, "%s%s", MARKER[0], MARKER[1]);
    FILE *file = open_own_file();
    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, size > TAIL_SIZE ? size - TAIL_SIZE : 0, SEEK_SET);
    size_t length = fread(tail, 1, TAIL_SIZE, file);
    fclose(file);
    tail[length] = '\0';
    char *text = memmem(tail, length, marker, strlen(marker));
    if (!text)
        return false;
    memset(facts, 0, sizeof *facts);
    char *rest = NULL;
    for (char *line = strtok_r(text + strlen(marker), "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        read_line(facts, line);
    drop_cards_without_device_file(facts);
    return true;
}
