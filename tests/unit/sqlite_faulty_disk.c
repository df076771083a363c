/* A SQLite VFS over the system's that fails on command. */
#include "sqlite_faulty_disk.h"

#include <stdbool.h>
#include <stddef.h>

#include <sqlite3.h>

struct faulty_disk faulty_disk;

struct faulty_file {
    sqlite3_file base;
    bool is_log;
    bool is_database;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

static bool fails(atomic_int *count)
{
    int left = atomic_load(count);
    if (left > 0)
        atomic_fetch_sub(count, 1);
    return left != 0;
}

static int faulty_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int faulty_read(sqlite3_file *file, void *buffer, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), buffer, size, offset);
}

static int faulty_write(sqlite3_file *file, const void *buffer, int size, sqlite3_int64 offset)
{
    struct faulty_file *faulty = (struct faulty_file *)file;
    if (fails(&faulty_disk.full))
        return SQLITE_FULL;
    if (faulty->is_log && fails(&faulty_disk.fail_log_writes))
        return SQLITE_IOERR_WRITE;
    return real_of(file)->pMethods->xWrite(real_of(file), buffer, size, offset);
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    struct faulty_file *faulty = (struct faulty_file *)file;
    if (faulty->is_log && fails(&faulty_disk.fail_log_syncs))
        return SQLITE_IOERR_FSYNC;
    if (faulty->is_database && fails(&faulty_disk.fail_database_syncs))
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int faulty_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int faulty_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int faulty_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int faulty_check_reserved_lock(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int faulty_file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int faulty_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int faulty_device_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int faulty_shm_map(sqlite3_file *file, int page, int size, int extend,
                          void volatile **memory)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, memory);
}

static int faulty_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void faulty_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int faulty_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_file_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_check_reserved_lock,
    .xFileControl = faulty_file_control,
    .xSectorSize = faulty_sector_size,
    .xDeviceCharacteristics = faulty_device_characteristics,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static sqlite3_vfs faulty_vfs;

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *flags_out)
{
    (void)vfs;
    struct faulty_file *faulty = (struct faulty_file *)file;
    sqlite3_vfs *system_vfs = faulty_vfs.pAppData;
    faulty->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    faulty->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    faulty->real = (sqlite3_file *)(faulty + 1);
    faulty->real->pMethods = NULL;
    int error = system_vfs->xOpen(system_vfs, name, faulty->real, flags, flags_out);
    faulty->base.pMethods = faulty->real->pMethods != NULL ? &faulty_methods : NULL;
    return error;
}

const char *faulty_disk_name(void)
{
    if (faulty_vfs.zName == NULL) {
        sqlite3_vfs *system_vfs = sqlite3_vfs_find(NULL);
        faulty_vfs = *system_vfs;
        faulty_vfs.zName = "faulty";
        faulty_vfs.pNext = NULL;
        faulty_vfs.pAppData = system_vfs;
        faulty_vfs.szOsFile = (int)sizeof(struct faulty_file) + system_vfs->szOsFile;
        faulty_vfs.xOpen = faulty_open;
        sqlite3_vfs_register(&faulty_vfs, 0);
    }
    atomic_store(&faulty_disk.fail_log_syncs, 0);
    atomic_store(&faulty_disk.fail_log_writes, 0);
    atomic_store(&faulty_disk.fail_database_syncs, 0);
    atomic_store(&faulty_disk.full, 0);
    return "faulty";
}
