/* What open_loop is told on its command line. */
#ifndef RESVD_BENCH_OPEN_OPTIONS_H
#define RESVD_BENCH_OPEN_OPTIONS_H

#include <netinet/in.h>
#include <stdint.h>

#define OPEN_AUTHORITY_BYTES 32 /* "255.255.255.255:65535" and its end */
#define OPEN_PATH_BYTES      256

struct open_options {
    struct sockaddr_in address;
    char authority[OPEN_AUTHORITY_BYTES]; /* for the Host field */
    char path[OPEN_PATH_BYTES];
    uint64_t connections;
    uint64_t rate; /* requests a second */
    uint64_t load_ms;
    uint64_t concerts; /* 1 to so many */
    uint64_t member_first;
    uint64_t member_count;
    uint64_t grace_ms; /* for answers, when nothing is sent any more */
    const char *ids_path;
};

/* Ends the program when it was asked for help (exit code 0) or when an argument is wrong (64, and
 * the text says which and what it may be). */
void open_options_read(struct open_options *options, int count, char **arguments);

#endif
