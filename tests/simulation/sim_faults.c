/* The table of faults put back on purpose. Each is looked for in a process of its own, since what
 * it breaks may end that process. */
#include "sim_faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef SIMULATED_ASYNC
#include "async/faults.h"
#else
#define ASYNC_FAULTS(FAULT)
#endif
#include "common/faults.h"
#include "grouped/faults.h"
#ifdef SIMULATED_REDLOCK
#include "redlock/faults.h"
#else
#define REDLOCK_FAULTS(FAULT)
#endif
#include "resvd/assert.h"
#include "resvd/fault.h"
#include "sim_variants.h"

struct fault {
    const char *name;
    const char *strategies;
    const char *what;
};

#define ENTRY(name, strategies, what) {#name, strategies, what},
static const struct fault faults[] = {COMMON_FAULTS(ENTRY) GROUPED_FAULTS(ENTRY)
                                          REDLOCK_FAULTS(ENTRY) ASYNC_FAULTS(ENTRY)};
static const size_t faults_count = sizeof faults / sizeof faults[0];

/* Where it is not enough that something is found. */
static const struct {
    const char *fault;
    const char *words;
} must_be_found[] = {{"no_fencing", "oversold"}};

static const char *is_on;

#ifdef RESVD_FAULTS
bool resv_fault_is_on(const char *name)
{
    return is_on != NULL && strcmp(is_on, name) == 0;
}

bool faults_are_built_in(void)
{
    return true;
}
#else
bool faults_are_built_in(void)
{
    return false;
}
#endif

bool faults_turn_on(const char *name)
{
    for (size_t i = 0; i < faults_count; i++) {
        if (strcmp(faults[i].name, name) == 0)
            is_on = faults[i].name;
    }
    return is_on != NULL;
}

void faults_list(void)
{
    for (size_t i = 0; i < faults_count; i++)
        printf("%-34s %-29s %s\n", faults[i].name, faults[i].strategies, faults[i].what);
}

/* --- looking for one -------------------------------------------------------------------------- */

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(list, name); at != NULL && length > 0; at = strstr(at + 1, name)) {
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

static bool is_it(const struct fault *fault, const char *failure)
{
    for (size_t i = 0; fault != NULL && i < sizeof must_be_found / sizeof must_be_found[0]; i++) {
        if (strcmp(must_be_found[i].fault, fault->name) == 0)
            return strstr(failure, must_be_found[i].words) != NULL;
    }
    return true;
}

/* The child's: what it is doing goes out before it does it, so that its end tells the seed. */
static void look(const struct fault *fault, const struct sim_variant *variant, double seconds,
                 int out)
{
    double end = now_seconds() + seconds;
    dup2(out, STDERR_FILENO);
    is_on = fault != NULL ? fault->name : NULL;
    for (uint64_t seed = 1; now_seconds() < end; seed++) {
        char line[640];
        int length = snprintf(line, sizeof line, "@%" PRIu64 "\n", seed);
        if (write(out, line, (size_t)length) < 0)
            _exit(1);
        struct sim_result result = sim_run(variant, seed, SIM_TRACE_OFF);
        if (result.failed && is_it(fault, result.failure)) {
            dprintf(out, "%s\n", result.failure);
            _exit(1);
        }
    }
    _exit(0);
}

struct finding {
    bool found;
    uint64_t seed;
    char words[300]; /* the checker's, or the strategy's own assertion's */
};

static struct finding read_finding(int in)
{
    struct finding finding = {0};
    FILE *lines = fdopen(in, "r");
    RESV_ASSERT(lines != NULL);
    char line[640];
    while (fgets(line, sizeof line, lines) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '@')
            finding.seed = strtoull(line + 1, NULL, 10);
        else if (finding.words[0] == '\0' && line[0] != '\0' && line[0] != '=')
            snprintf(finding.words, sizeof finding.words, "%.280s", line);
    }
    fclose(lines);
    return finding;
}

static struct finding look_for(const struct fault *fault, const struct sim_variant *variant,
                               double seconds)
{
    int ends[2];
    RESV_ASSERT(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    RESV_ASSERT(child >= 0);
    if (child == 0) {
        close(ends[0]);
        look(fault, variant, seconds, ends[1]);
    }
    close(ends[1]);
    struct finding finding = read_finding(ends[0]);
    int status = 0;
    RESV_ASSERT(waitpid(child, &status, 0) == child);
    finding.found = status != 0;
    return finding;
}

static int report(int number, const struct fault *fault, const struct sim_variant *variant,
                  double seconds)
{
    const char *name = fault != NULL ? fault->name : "(none: it is as the study had it)";
    struct finding finding = look_for(fault, variant, seconds);
    if (finding.found)
        printf("ok %d - %s, %s: found after %" PRIu64 " seeds\n#      %s\n", number, variant->name,
               name, finding.seed, finding.words);
    else
        printf("not ok %d - %s, %s: not found within %" PRIu64 " seeds\n", number, variant->name,
               name, finding.seed);
    fflush(stdout);
    return finding.found ? 0 : 1;
}

int faults_table(double seconds_each)
{
    int number = 0;
    int missed = 0;
    for (size_t i = 0; i < sim_variants_count; i++) {
        const struct sim_variant *variant = &sim_variants[i];
        if (!variant->is_sound)
            missed += report(++number, NULL, variant, seconds_each);
        for (size_t each = 0; each < faults_count; each++) {
            if (is_listed(faults[each].strategies, variant->name))
                missed += report(++number, &faults[each], variant, seconds_each);
        }
    }
    printf("1..%d\n", number);
    return missed;
}
