/* Routes in front of a scripted dispatcher and host: requests go in, the test completes what was
 * submitted with the outcome it wants, and looks at the answer. */
#ifndef RESVD_TESTS_UNIT_ROUTES_FIXTURE_H
#define RESVD_TESTS_UNIT_ROUTES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "resvd/catalog.h"
#include "routes/routes.h"

struct routes_fixture {
    struct routes_context context;
    struct resv_strategy strategy;
    struct routes *routes;
    struct call call;
    unsigned answered; /* how often, since the last request */
    cJSON *json;       /* of the last answer's body, where it is JSON */
    /* The dispatcher. */
    bool accepting;
    bool pool_empty;
    struct resv_op op;
    unsigned taken, given_back, submitted, clients_gone;
    bool keyed_under_way; /* what dispatcher_find_keyed says */
    /* The host. */
    uint64_t now_ns;
    unsigned random_calls;
    bool ready;
    const char *not_ready_reason;
};
extern struct routes_fixture fixture;

/* cmocka setup and teardown: API defaults, no keys, not study, reset forbidden. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* After changing fixture.context or fixture.strategy. */
void fixture_restart(void);

/* A request to the listener where the path is at home (by its first letters), with JSON as its
 * Content-Type when there is a body. Target is path and query. */
struct call_request fixture_request(enum http_method method, const char *target, const char *body);
/* Sends it; all its texts are copied to blocks of just their size meanwhile. */
void fixture_send_request(const struct call_request *request);
void fixture_send(enum http_method method, const char *target, const char *body);
/* Completes what was submitted. */
void fixture_complete(enum resv_outcome outcome);

void expect_status(unsigned status, enum content_type type);
/* Also that the body is the problem `slug` in full, and the header fields that go with it. */
void expect_problem(unsigned status, const char *slug);
/* A 422 with just these fields wrong, in this order, separated by spaces. */
void expect_fields(const char *fields);
void expect_no_body(unsigned status);
/* The whole body. */
void expect_body(const char *text);
const char *json_text(const char *name);
double json_number(const char *name);

#endif
