/* Finding routes: the path is cut at its slashes, each piece decoded, and held against the table.
 *
 * Decoding comes after cutting, so that %2F is a byte of a piece and never cuts.
 */
#include "routes/router.h"

#include "routes/percent.h"

#include <string.h>

#define API         ROUTE_ON_API
#define ADMIN       ROUTE_ON_ADMIN
#define BOTH        (ROUTE_ON_API | ROUTE_ON_ADMIN)
#define OP          ROUTE_NEEDS_OP
#define JSON        ROUTE_READS_JSON
#define KEY         ROUTE_TAKES_KEY
#define STUDY       ROUTE_STUDY
#define ASYNC       ROUTE_ASYNC_ONLY
#define OPEN        ROUTE_WITHOUT_KEY
#define NEEDS_RESET ROUTE_NEEDS_RESET

/* clang-format off */
const struct route route_table[] = {
    {METHOD_POST,   API | OP | JSON | KEY,           "/api/reservations",        route_reserve},
    {METHOD_POST,   API | OP | JSON | KEY | ASYNC,   "/api/reservations/async",  route_reserve_async},
    {METHOD_GET,    API | OP,                        "/api/reservations/{id}",   route_reservation_get},
    {METHOD_DELETE, API | OP,                        "/api/reservations/{id}",   route_reservation_release},
    {METHOD_GET,    API | OP,                        "/api/concerts",            route_concert_list},
    {METHOD_GET,    API | OP,                        "/api/concerts/{id}",       route_concert_get},
    {METHOD_GET,    API | OP,                        "/api/members/{id}",        route_member_get},
    {METHOD_POST,   API | OP | STUDY | NEEDS_RESET,  "/api/test/init",           route_study_init},
    {METHOD_GET,    API | OP | STUDY,                "/api/reservations/request/{requestId}", route_study_request},
    {METHOD_POST,   ADMIN | OP | JSON,               "/admin/concerts",          route_concert_create},
    {METHOD_PUT,    ADMIN | OP | JSON,               "/admin/concerts/{id}",     route_concert_update},
    {METHOD_POST,   ADMIN | OP | JSON,               "/admin/members",           route_member_create},
    {METHOD_POST,   ADMIN | OP | JSON | NEEDS_RESET, "/admin/reset",             route_reset},
    {METHOD_GET,    ADMIN | OP,                      "/admin/audit",             route_audit},
    {METHOD_GET,    ADMIN | OP | ASYNC,              "/admin/dead-letters",      route_dead_letter_list},
    {METHOD_POST,   ADMIN | OP | ASYNC,              "/admin/dead-letters/{id}/retry", route_dead_letter_retry},
    {METHOD_POST,   ADMIN | OP | ASYNC,              "/admin/concerts/{id}/reconcile", route_reconcile},
    {METHOD_GET,    ADMIN | OPEN,                    "/livez",                   route_livez},
    {METHOD_GET,    ADMIN | OPEN,                    "/readyz",                  route_readyz},
    {METHOD_GET,    ADMIN,                           "/metrics",                 route_metrics},
    {METHOD_GET,    BOTH | OPEN,                     "/openapi.json",            route_openapi},
    {METHOD_GET,    BOTH | OPEN,                     "/problems/{slug}",         route_problem_page},
};
/* clang-format on */
const size_t route_table_count = sizeof(route_table) / sizeof(route_table[0]);

struct segments {
    struct text parts[ROUTER_SEGMENTS_MAX];
    size_t count;
};

static enum router_result cut(struct text path, char *scratch, struct segments *segments)
{
    segments->count = 0;
    size_t at = 1; /* behind the first slash */
    while (at <= path.size) {
        const char *slash = at < path.size ? memchr(path.data + at, '/', path.size - at) : NULL;
        size_t end = slash != NULL ? (size_t)(slash - path.data) : path.size;
        struct text encoded = {path.data + at, end - at};
        struct text decoded;
        if (!percent_decode(encoded, scratch, encoded.size, &decoded))
            return ROUTER_BAD_ENCODING;
        if (segments->count < ROUTER_SEGMENTS_MAX)
            segments->parts[segments->count] = decoded;
        segments->count++; /* one more than fits matches nothing */
        scratch += decoded.size;
        at = end + 1;
    }
    return ROUTER_FOUND;
}

static bool matches(const char *pattern, const struct segments *segments, struct text *parameter)
{
    if (segments->count > ROUTER_SEGMENTS_MAX)
        return false;
    for (size_t i = 0; i < segments->count; i++) {
        if (*pattern != '/')
            return false;
        pattern++;
        size_t size = strcspn(pattern, "/");
        struct text part = segments->parts[i];
        if (*pattern == '{') {
            if (part.size == 0)
                return false;
            *parameter = part;
        } else if (!text_equal((struct text){pattern, size}, part)) {
            return false;
        }
        pattern += size;
    }
    return *pattern == '\0';
}

static unsigned bits_of(enum http_method method)
{
    unsigned bits = (1u << method) | (1u << METHOD_OPTIONS);
    if (method == METHOD_GET)
        bits |= 1u << METHOD_HEAD;
    return bits;
}

enum router_result router_find(enum listener_kind listener, enum http_method method,
                               struct text path, bool study_api, char *scratch,
                               struct router_match *match)
{
    *match = (struct router_match){.index = route_table_count};
    if (path.size == 0 || path.data[0] != '/')
        return ROUTER_NO_PATH;
    struct segments segments;
    if (cut(path, scratch, &segments) == ROUTER_BAD_ENCODING)
        return ROUTER_BAD_ENCODING;
    unsigned wanted = listener == LISTENER_API ? ROUTE_ON_API : ROUTE_ON_ADMIN;
    if (method == METHOD_HEAD)
        method = METHOD_GET;
    for (size_t i = 0; i < route_table_count; i++) {
        const struct route *route = &route_table[i];
        struct text parameter = {NULL, 0};
        if ((route->traits & wanted) == 0 || ((route->traits & ROUTE_STUDY) != 0 && !study_api) ||
            !matches(route->path, &segments, &parameter))
            continue;
        match->allow |= bits_of(route->method);
        match->without_key = match->without_key || (route->traits & ROUTE_WITHOUT_KEY) != 0;
        if (match->index == route_table_count && route->method == method) {
            match->index = i;
            match->parameter = parameter;
        }
    }
    if (match->allow == 0)
        return ROUTER_NO_PATH;
    return match->index < route_table_count ? ROUTER_FOUND : ROUTER_NO_METHOD;
}
