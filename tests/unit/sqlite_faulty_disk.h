/* A SQLite VFS over the system's that fails on command: the disk of the fault tests. */
#ifndef TESTS_SQLITE_FAULTY_DISK_H
#define TESTS_SQLITE_FAULTY_DISK_H

#include <stdatomic.h>

/* Set by the test while other threads use the disk. Counts: -1 for always, 0 never, n: n times. */
struct faulty_disk {
    atomic_int fail_log_syncs;      /* SQLITE_IOERR_FSYNC; the bytes are in the file all the same */
    atomic_int fail_log_writes;     /* SQLITE_IOERR_WRITE */
    atomic_int fail_database_syncs; /* SQLITE_IOERR_FSYNC */
    atomic_int full;                /* every write that would happen: SQLITE_FULL */
};

extern struct faulty_disk faulty_disk;

/* For sqlite_link_config.vfs_name; registers it at the first call and clears all faults. */
const char *faulty_disk_name(void);

#endif
