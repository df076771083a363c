/* Dies or stops at a step that the environment names: linked into resvd-crash only.
 *
 *   RESVD_CRASH_AT=NAME[:PASSAGE[:DELAY_MS]]   kill -9 when it comes there for the PASSAGEth time
 *   RESVD_STOP_AT=NAME[:PASSAGE[:DELAY_MS]]    kill -STOP, the same way; SIGCONT lets it go on
 *
 * PASSAGE counts from 1, which is the default. For DELAY_MS (0) its loop stands still at the step,
 * while the threads of libraries and the kernel go on with what they were given before; then it
 * dies or stops. What it has come to is said on standard error first, in a line of its own: "crash
 * point NAME". A name that is no step's never comes. */
#include "resvd/crash_point.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What one variable asks for. */
struct wish {
    const char *variable;
    int signal;
    size_t name_size;
    unsigned long passage, delay_ms;
    unsigned long passed;
    const char *name; /* NULL: nothing */
};

static struct wish wishes[] = {{.variable = "RESVD_CRASH_AT", .signal = SIGKILL},
                               {.variable = "RESVD_STOP_AT", .signal = SIGSTOP}};

static void read_wish(struct wish *wish)
{
    wish->name = getenv(wish->variable);
    wish->passage = 1;
    if (wish->name == NULL)
        return;
    wish->name_size = strcspn(wish->name, ":");
    if (wish->name[wish->name_size] == '\0')
        return;
    char *end;
    wish->passage = strtoul(wish->name + wish->name_size + 1, &end, 10);
    if (*end == ':')
        wish->delay_ms = strtoul(end + 1, &end, 10);
    if (*end == '\0' && wish->passage > 0)
        return;
    fprintf(stderr, "resvd-crash: %s is not NAME[:PASSAGE[:DELAY_MS]]\n", wish->variable);
    _exit(64);
}

static void come_true(const struct wish *wish)
{
    struct timespec delay = {.tv_sec = (time_t)(wish->delay_ms / 1000),
                             .tv_nsec = (long)(wish->delay_ms % 1000) * 1000000};
    fprintf(stderr, "crash point %.*s\n", (int)wish->name_size, wish->name);
    nanosleep(&delay, NULL);
    kill(getpid(), wish->signal);
}

/* All steps are the loop's. */
void resv_crash_point(const char *name)
{
    static int are_read;
    const size_t count = sizeof wishes / sizeof wishes[0];
    for (size_t i = 0; i < count && !are_read; i++)
        read_wish(&wishes[i]);
    are_read = 1;
    for (size_t i = 0; i < count; i++) {
        struct wish *wish = &wishes[i];
        if (wish->name != NULL && strlen(name) == wish->name_size &&
            memcmp(name, wish->name, wish->name_size) == 0 && ++wish->passed == wish->passage)
            come_true(wish);
    }
}
