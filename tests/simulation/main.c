/* resvd-simulate: runs schedules from seeds, and tells the story of one. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim_faults.h"
#include "sim_variants.h"
#include "sim_world.h"

static const char usage[] =
    "usage: ./dev simulate [FLAGS]\n"
    "\n"
    "  --seconds S        new seeds for so long; default: RESVD_SIMULATE_SECONDS, or 120\n"
    "  --seeds COUNT      so many seeds\n"
    "  --first N          the first of them; default: by the clock\n"
    "  --seed N           this one seed\n"
    "  --trace            prints what happens (with --seed)\n"
    "  --strategy NAME    grouped, pessimistic, procedure, redlock, async, mixed (processes of "
    "all\n"
    "                     of these but async), naive, or all (all: without naive)\n"
    "  --file PATH        the seeds in this file, one at the beginning of each line\n"
    "  --twice            each seed twice: both must be the same\n"
    "  --fault NAME       with this fault put back (resvd-simulate-faults)\n"
    "  --fault-table S    looks for every fault, S seconds at most for each\n"
    "  --list-faults\n";

struct settings {
    double seconds;
    uint64_t seeds; /* 0: by time */
    uint64_t first;
    bool one;
    bool twice;
    enum sim_trace_mode trace;
    const char *strategy;
    const char *file;
    const char *fault;
    double table_seconds;
};

struct totals {
    uint64_t schedules;
    uint64_t events;
    uint64_t requests;
    uint64_t outcomes[RESV_OUTCOME_COUNT];
    uint64_t rejected;
    double began;
    double shown;
};

/* What runs just now, for an end that comes from elsewhere. */
static uint64_t current_seed;
static const char *current_variant = "";
static const char *current_fault = "";
static char replay_line[256];

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_replay(void)
{
    int length = snprintf(replay_line, sizeof replay_line,
                          "\n# seed %" PRIu64 "\n"
                          "# replay: ./dev simulate --strategy %s%s%s --seed %" PRIu64 " --trace\n",
                          current_seed, current_variant,
                          current_fault[0] != '\0' ? " --fault " : "", current_fault, current_seed);
    fflush(stdout);
    if (write(STDERR_FILENO, replay_line, (size_t)length) < 0)
        _exit(1);
}

/* snprintf is not for handlers, but the process is about to end and has nothing else to lose. */
static void died(int signal_number)
{
    print_replay();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* The address sanitizer calls this before it ends the process. */
void __asan_on_error(void);
void __asan_on_error(void)
{
    print_replay();
}

static void show_progress(struct totals *totals, bool last)
{
    double now = now_seconds();
    bool terminal = isatty(STDERR_FILENO);
    if (!last && now - totals->shown < (terminal ? 0.5 : 15))
        return;
    totals->shown = now;
    fprintf(stderr,
            "%s%" PRIu64 " schedules, %" PRIu64 " requests, %" PRIu64 " events, %.0f schedules/s%s",
            terminal ? "\r" : "# ", totals->schedules, totals->requests, totals->events,
            (double)totals->schedules / (now - totals->began + 1e-9),
            terminal && !last ? "   " : "\n");
}

static void show_outcomes(const struct totals *totals)
{
    printf("#");
    for (size_t i = 0; i < RESV_OUTCOME_COUNT; i++) {
        if (totals->outcomes[i] > 0)
            printf(" %s %" PRIu64, sim_outcome_text((enum resv_outcome)i), totals->outcomes[i]);
    }
    if (totals->rejected > 0)
        printf(" (rejected in the end: %" PRIu64 ")", totals->rejected);
    printf("\n");
}

/* --- runs ------------------------------------------------------------------------------------- */

static bool run_seed(const struct settings *settings, const struct sim_variant *variant,
                     uint64_t seed, struct totals *totals)
{
    current_seed = seed;
    current_variant = variant->name;
    enum sim_trace_mode trace = settings->twice ? SIM_TRACE_HASH : settings->trace;
    struct sim_result result = sim_run(variant, seed, trace);
    totals->schedules++;
    totals->events += result.events;
    totals->requests += result.requests;
    totals->rejected += result.rejected;
    for (size_t i = 0; i < RESV_OUTCOME_COUNT; i++)
        totals->outcomes[i] += result.outcomes[i];
    if (settings->twice && !result.failed) {
        struct sim_result again = sim_run(variant, seed, trace);
        if (again.failed || again.hash != result.hash) {
            result.failed = true;
            snprintf(result.failure, sizeof result.failure, "the second run was another one");
        }
    }
    if (result.failed) {
        printf("# %s, seed %" PRIu64 ": %s\n", variant->name, seed, result.failure);
        print_replay();
    }
    return !result.failed;
}

static bool is_wanted(const struct settings *settings, const struct sim_variant *variant)
{
    return strcmp(settings->strategy, "all") == 0 ? variant->is_sound
                                                  : strcmp(settings->strategy, variant->name) == 0;
}

/* One line of TAP for each seed of the file and each strategy. */
static int run_file(const struct settings *settings, struct totals *totals)
{
    FILE *file = fopen(settings->file, "r");
    if (file == NULL) {
        perror(settings->file);
        return 1;
    }
    char line[1024];
    int number = 0;
    int failed = 0;
    while (failed == 0 && fgets(line, sizeof line, file) != NULL) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        for (size_t i = 0; end != line && i < sim_variants_count; i++) {
            if (!is_wanted(settings, &sim_variants[i]))
                continue;
            bool good = run_seed(settings, &sim_variants[i], seed, totals);
            printf("%sok %d - %s, seed %" PRIu64 "\n", good ? "" : "not ", ++number,
                   sim_variants[i].name, seed);
            failed += !good;
        }
    }
    fclose(file);
    return failed;
}

/* What has been done of one variant. */
struct share {
    uint64_t seeds;
    double seconds;
};

static void show_variants(const struct settings *settings, const struct share *shares)
{
    int number = 0;
    for (size_t i = 0; i < sim_variants_count; i++) {
        if (is_wanted(settings, &sim_variants[i]))
            printf("ok %d - %s, %" PRIu64 " seeds from %" PRIu64 "%s\n", ++number,
                   sim_variants[i].name, shares[i].seeds, settings->first,
                   settings->twice ? ", each twice" : "");
    }
}

/* The one that is wanted and has had the least; NULL: all have had enough. By seeds: as many for
 * each. By time: as long for each, as stories of some are much longer than of others. */
static const struct sim_variant *next_variant(const struct settings *settings,
                                              const struct share *shares)
{
    const struct sim_variant *next = NULL;
    double least = 0;
    for (size_t i = 0; i < sim_variants_count; i++) {
        double had = settings->seeds > 0 ? (double)shares[i].seeds : shares[i].seconds;
        if (!is_wanted(settings, &sim_variants[i]) || (next != NULL && had >= least))
            continue;
        next = &sim_variants[i];
        least = had;
    }
    return settings->seeds > 0 && least >= (double)settings->seeds ? NULL : next;
}

static int run_new(const struct settings *settings, struct totals *totals)
{
    struct share shares[SIM_VARIANTS_MAX] = {0};
    double now = now_seconds();
    double end = now + settings->seconds;
    const struct sim_variant *variant;
    while ((settings->seeds > 0 || now < end) &&
           (variant = next_variant(settings, shares)) != NULL) {
        struct share *share = &shares[variant - sim_variants];
        double began = now;
        if (!run_seed(settings, variant, settings->first + share->seeds, totals))
            return 1;
        now = now_seconds();
        share->seeds++;
        share->seconds += now - began;
        if (!settings->one)
            show_progress(totals, false);
    }
    if (!settings->one)
        show_variants(settings, shares);
    else if (settings->trace == SIM_TRACE_OFF)
        printf("seed %" PRIu64 ": nothing found\n", settings->first);
    return 0;
}

/* --- the command line ------------------------------------------------------------------------- */

enum flag {
    FLAG_SECONDS = 256,
    FLAG_SEEDS,
    FLAG_FIRST,
    FLAG_SEED,
    FLAG_TRACE,
    FLAG_STRATEGY,
    FLAG_FILE,
    FLAG_TWICE,
    FLAG_FAULT,
    FLAG_FAULT_TABLE,
    FLAG_LIST_FAULTS,
    FLAG_HELP,
};

static const struct option flags[] = {
    {"seconds", required_argument, NULL, FLAG_SECONDS},
    {"seeds", required_argument, NULL, FLAG_SEEDS},
    {"first", required_argument, NULL, FLAG_FIRST},
    {"seed", required_argument, NULL, FLAG_SEED},
    {"trace", no_argument, NULL, FLAG_TRACE},
    {"strategy", required_argument, NULL, FLAG_STRATEGY},
    {"file", required_argument, NULL, FLAG_FILE},
    {"twice", no_argument, NULL, FLAG_TWICE},
    {"fault", required_argument, NULL, FLAG_FAULT},
    {"fault-table", required_argument, NULL, FLAG_FAULT_TABLE},
    {"list-faults", no_argument, NULL, FLAG_LIST_FAULTS},
    {"help", no_argument, NULL, FLAG_HELP},
    {0},
};

/* False, after saying so, when the text is not a number. */
static bool take_number(const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *text != '-')
        return true;
    fprintf(stderr, "resvd-simulate: '%s' is not a number\n", text);
    return false;
}

static bool take_seconds(const char *text, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    if (end != text && *end == '\0' && *seconds > 0)
        return true;
    fprintf(stderr, "resvd-simulate: '%s' is not a number of seconds\n", text);
    return false;
}

static bool is_strategy(const char *text)
{
    if (strcmp(text, "all") == 0 || sim_variant_find(text) != NULL)
        return true;
    fprintf(stderr, "resvd-simulate: there is no strategy '%s' here\n", text);
    if (sim_variants_missing() != NULL)
        fprintf(stderr, "resvd-simulate: %s\n", sim_variants_missing());
    return false;
}

static bool turn_on(const char *fault)
{
    if (!faults_are_built_in() || faults_turn_on(fault))
        return faults_are_built_in();
    fprintf(stderr, "resvd-simulate: there is no fault '%s'; --list-faults names them\n", fault);
    return false;
}

static bool take_flag(struct settings *settings, int flag, const char *text)
{
    switch (flag) {
    case FLAG_SECONDS:
        return take_seconds(text, &settings->seconds);
    case FLAG_SEED:
        settings->one = true;
        settings->seeds = 1;
        return take_number(text, &settings->first);
    case FLAG_SEEDS:
        return take_number(text, &settings->seeds);
    case FLAG_FIRST:
        return take_number(text, &settings->first);
    case FLAG_TRACE:
        settings->trace = SIM_TRACE_PRINT;
        return true;
    case FLAG_STRATEGY:
        settings->strategy = text;
        return is_strategy(text);
    case FLAG_FILE:
        settings->file = text;
        return true;
    case FLAG_TWICE:
        settings->twice = true;
        return true;
    case FLAG_FAULT:
        settings->fault = text;
        current_fault = text;
        return turn_on(text);
    case FLAG_FAULT_TABLE:
        return take_seconds(text, &settings->table_seconds) && faults_are_built_in();
    case FLAG_LIST_FAULTS:
        faults_list();
        exit(0);
    case FLAG_HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        return false;
    }
}

int main(int count, char **arguments)
{
    struct settings settings = {.seconds = 120, .strategy = "all"};
    const char *seconds = getenv("RESVD_SIMULATE_SECONDS");
    if (seconds != NULL)
        settings.seconds = strtod(seconds, NULL);
    settings.first = (uint64_t)time(NULL) * 1000000;
    for (;;) {
        int flag = getopt_long(count, arguments, "", flags, NULL);
        if (flag == -1)
            break;
        if (!take_flag(&settings, flag, optarg)) {
            fputs(usage, stderr);
            return 64;
        }
    }
    if (settings.table_seconds > 0)
        return faults_table(settings.table_seconds) > 0 ? 1 : 0;
    signal(SIGABRT, died);
    signal(SIGSEGV, died);
    if (strcmp(settings.strategy, "all") == 0 && sim_variants_missing() != NULL)
        printf("# %s\n", sim_variants_missing());
    struct totals totals = {.began = now_seconds(), .shown = now_seconds()};
    int failed = settings.file != NULL ? run_file(&settings, &totals) : run_new(&settings, &totals);
    if (!settings.one) {
        show_progress(&totals, true);
        show_outcomes(&totals);
    }
    fflush(stdout);
    /* What failed was left standing as it was: not for the leak checker. */
    if (failed > 0)
        _exit(1);
    return 0;
}
