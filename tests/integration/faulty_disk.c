/* Preloaded by tests into resvd: while the file that RESVD_TEST_FAULT names exists, every fsync and
 * fdatasync fails with EIO, as on a dying disk. Failing pages are not written again: like Linux. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int is_faulty(void)
{
    const char *flag = getenv("RESVD_TEST_FAULT");
    return flag != NULL && access(flag, F_OK) == 0;
}

int fsync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (is_faulty()) {
        errno = EIO;
        return -1;
    }
    return real(descriptor);
}

int fdatasync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (is_faulty()) {
        errno = EIO;
        return -1;
    }
    return real(descriptor);
}
