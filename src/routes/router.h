/* The table of routes, and finding the one that a request is for. */
#ifndef RESVD_ROUTES_ROUTER_H
#define RESVD_ROUTES_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "routes/routes_state.h"

enum route_trait {
    ROUTE_ON_API = 1,
    ROUTE_ON_ADMIN = 2,
    ROUTE_WITHOUT_KEY = 4,   /* no Authorization is asked for */
    ROUTE_READS_JSON = 8,    /* 415 without application/json */
    ROUTE_TAKES_KEY = 16,    /* Idempotency-Key is read */
    ROUTE_NEEDS_OP = 32,     /* 503 while no operations are accepted */
    ROUTE_ASYNC_ONLY = 64,   /* 404 that says so unless the strategy is asynchronous */
    ROUTE_NEEDS_RESET = 128, /* 403 unless allow_reset */
    ROUTE_STUDY = 256,       /* there only with study_api */
};

struct route {
    enum http_method method; /* GET answers HEAD too */
    unsigned traits;
    const char *path; /* "/api/concerts/{id}"; one {…} at most */
    void (*handle)(const struct route_call *self);
};

#define ROUTE_RESERVE 0 /* the hottest one is the first of the table */
extern const struct route route_table[];
extern const size_t route_table_count;

/* The index in metrics of what no route was found for. */
#define ROUTE_NONE ((uint8_t)route_table_count)

#define ROUTER_SEGMENTS_MAX 6

enum router_result {
    ROUTER_FOUND,
    ROUTER_NO_PATH,     /* 404 */
    ROUTER_NO_METHOD,   /* 405, or OPTIONS: `allow` tells */
    ROUTER_BAD_ENCODING /* a per cent sign without two hexadecimal digits behind it */
};

struct router_match {
    size_t index;
    struct text parameter; /* decoded, within the scratch given to router_find */
    unsigned allow;        /* bits of all methods that the path has, with HEAD and OPTIONS */
    bool without_key;      /* a route of this path asks for no key */
};

/* `scratch` holds the decoded path: at least path.size bytes. */
enum router_result router_find(enum listener_kind listener, enum http_method method,
                               struct text path, bool study_api, char *scratch,
                               struct router_match *match);

#endif
