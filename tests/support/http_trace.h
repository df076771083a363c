/* What the request parser makes of some bytes, as one text: to hold ways of cutting them into reads
 * against each other. Used by tests/unit and tests/fuzz. */
#ifndef RESVD_TESTS_SUPPORT_HTTP_TRACE_H
#define RESVD_TESTS_SUPPORT_HTTP_TRACE_H

#include <stddef.h>

#include "http/parser.h"

struct http_trace {
    /* "GET /path?query type=… body=5:hello\n", "100\n", "fault bad-request\n", …; ends with
     * "rest\n" when a request has begun and is not whole. NUL-terminated; freed by the caller. */
    char *text;
    size_t size;
    size_t requests;
    const char *slug; /* of the fault, NULL when there was none */
    bool in_request;  /* at the end */
    size_t budget_peak_bytes;
};

/* Feeds data in reads of sizes[0], sizes[1], … bytes, the last size again and again. Each read is
 * in memory of its own that is gone after it, so that a stale view is found by a sanitizer. Stops
 * after a fault and after a request that ends the connection, as the server does. `each`, which may
 * be NULL, sees every whole request. Aborts where the parser breaks a rule that holds for any
 * bytes. */
void http_trace_run(struct http_trace *trace, const char *data, size_t size, const size_t *sizes,
                    size_t sizes_count, size_t budget_bytes,
                    void (*each)(void *each_data, const struct call_request *request,
                                 struct http_trace *trace),
                    void *each_data);

/* Adds to the text. */
void http_trace_add(struct http_trace *trace, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
