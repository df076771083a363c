/* Reading /proc/self, getrusage and getrlimit. */
#include "metrics/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STAT_START_TIME_FIELD 22 /* proc(5): starttime, in clock ticks after boot */
#define STAT_STATE_FIELD      3  /* the first one after the command in parentheses */

/* The text of a small file, cut at size - 1 bytes; false when it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t filled = 0;
    while (filled < size - 1) {
        ssize_t got = read(fd, text + filled, size - 1 - filled);
        if (got <= 0)
            break;
        filled += (size_t)got;
    }
    close(fd);
    text[filled] = '\0';
    return filled > 0;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void read_memory(struct process_figures *figures)
{
    char text[256];
    long long pages_virtual;
    long long pages_resident;
    if (!read_text("/proc/self/statm", text, sizeof(text)) ||
        sscanf(text, "%lld %lld", &pages_virtual, &pages_resident) != 2)
        return;
    long page_bytes = sysconf(_SC_PAGESIZE);
    figures->virtual_bytes = pages_virtual * page_bytes;
    figures->resident_bytes = pages_resident * page_bytes;
}

/* Ticks after boot at which this process began, or -1. The command may hold spaces and
 * parentheses, so that counting begins behind the last one. */
static double start_ticks(void)
{
    char text[1024];
    if (!read_text("/proc/self/stat", text, sizeof(text)))
        return -1;
    char *at = strrchr(text, ')');
    if (at == NULL)
        return -1;
    for (int field = STAT_STATE_FIELD - 1; field < STAT_START_TIME_FIELD; field++) {
        at = strchr(at + 1, ' ');
        if (at == NULL)
            return -1;
    }
    return strtod(at + 1, NULL);
}

/* When the machine started, in seconds since 1970, or -1. The line may be far behind the one of
 * each processor, so that the file is read line by line. */
static double boot_seconds(void)
{
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return -1;
    double seconds = -1;
    char line[256];
    while (seconds < 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "btime ", 6) == 0)
            seconds = strtod(line + 6, NULL);
    }
    fclose(file);
    return seconds;
}

static int64_t count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return -1;
    int64_t count = -1; /* without the folder's own */
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] != '.')
            count++;
    }
    closedir(folder);
    return count;
}

void process_read(struct process_figures *figures)
{
    *figures = (struct process_figures){-1, -1, -1, -1, -1, -1};
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        figures->cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        figures->max_fds = (int64_t)limit.rlim_cur;
    read_memory(figures);
    figures->open_fds = count_fds();
    double ticks = start_ticks();
    double boot = boot_seconds();
    if (ticks >= 0 && boot >= 0)
        figures->start_seconds = boot + ticks / (double)sysconf(_SC_CLK_TCK);
}
