/* An open loop: reservations at a fixed rate, whatever the server answers; correct for coordinated
 * omission, as each request's latency counts from the moment that was planned for it.
 *
 *   open_loop --url=http://127.0.0.1:8080/api/reservations --connections=64 --rate=8000 --seconds=5
 *             --concerts=1 --member-first=1000 --member-count=9000 --ids=ids.bin
 *
 * Prints one line of JSON behind RESULT: what became of all requests, their latencies, and how late
 * this program was itself. "latency" and "cdf" are of all that was planned: so many as
 * "lower_bounds" says had no answer, and stand there with the time that they waited at least.
 * "last_accepted_us", from the begin, is 0 where nothing was accepted. Exit code: 0; 64: wrong
 * arguments; 1: there is no result, and stderr says why. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "open_load.h"

static void print_statuses(const char *name, const uint64_t statuses[OPEN_STATUSES])
{
    const char *comma = "";
    printf("\"%s\":{", name);
    for (unsigned status = 0; status < OPEN_STATUSES; status++) {
        if (statuses[status] == 0)
            continue;
        printf("%s\"%u\":%" PRIu64, comma, status, statuses[status]);
        comma = ",";
    }
    printf("},");
}

/* null: there is none. */
static void print_percentiles(const char *name, const struct open_histogram *histogram)
{
    if (histogram->count == 0) {
        printf("\"%s\":null,", name);
        return;
    }
    printf("\"%s\":{\"p50_us\":%" PRIu64 ",\"p95_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
           ",\"p999_us\":%" PRIu64 ",\"max_us\":%" PRIu64 "},",
           name, open_histogram_quantile(histogram, 500000),
           open_histogram_quantile(histogram, 950000), open_histogram_quantile(histogram, 990000),
           open_histogram_quantile(histogram, 999000), histogram->max_us);
}

static void print_curve(const struct open_histogram *histogram)
{
    struct open_point points[OPEN_CURVE_POINTS];
    size_t count = open_histogram_curve(histogram, points);
    printf("\"cdf\":[");
    for (size_t i = 0; i < count; i++)
        printf("%s[%" PRIu64 ",%.8f]", i == 0 ? "" : ",", points[i].us,
               (double)points[i].count / (double)histogram->count);
    printf("],");
}

static void print_counts(const struct open_load *load)
{
    const struct open_counts *counts = &load->counts;
    const struct open_pool *pool = &load->pool;
    printf("\"planned\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"answered\":%" PRIu64
           ",\"lower_bounds\":%" PRIu64 ",\"sold_out\":%" PRIu64 ",\"sold_out_in_time\":%" PRIu64
           ",\"sold_out_after\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"unanswered\":%" PRIu64
           ",\"no_id\":%" PRIu64 ",\"malformed\":%" PRIu64 ",\"connections_lost\":%" PRIu64
           ",\"connect_failures\":%" PRIu64 ",",
           counts->planned, load->next, counts->answered, counts->lower_bounds, counts->sold_out,
           counts->sold_out_in_time, counts->sold_out_after, counts->broken, counts->unanswered,
           counts->no_id, pool->malformed, pool->lost, pool->connect_failures);
}

static void print_result(const struct open_load *load)
{
    const struct open_counts *counts = &load->counts;
    printf("RESULT {");
    print_counts(load);
    print_statuses("statuses", counts->statuses);
    print_statuses("statuses_in_time", counts->statuses_in_time);
    print_percentiles("latency", &load->latency);
    print_percentiles("accepted", &load->accepted);
    print_percentiles("late", &load->late);
    print_curve(&load->latency);
    printf("\"last_accepted_us\":%" PRIu64 ",\"load_us\":%" PRIu64 ",\"duration_us\":%" PRIu64
           ",\"cpu_load_us\":%" PRIu64 ",\"cpu_us\":%" PRIu64 "}\n",
           load->last_accepted_ns > 0 ? (load->last_accepted_ns - load->begun_ns) / 1000 : 0,
           (load->end_ns - load->begun_ns) / 1000, (load->over_ns - load->begun_ns) / 1000,
           load->cpu_end_us - load->cpu_begun_us, load->cpu_over_us - load->cpu_begun_us);
}

int main(int count, char **arguments)
{
    static struct open_load load; /* too large for the stack */
    struct open_options options;
    signal(SIGPIPE, SIG_IGN); /* a connection that broke is told by the write's own error */
    open_options_read(&options, count, arguments);
    if (!open_load_run(&load, &options)) {
        fprintf(stderr, "open_loop: %s\n", load.failure);
        return 1;
    }
    print_result(&load);
    return fflush(stdout) == 0 ? 0 : 1;
}
