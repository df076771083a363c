/* Rendering the head of an answer, by hand: it is on the hottest path. */
#include "http/render.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "append.h"
#include "resvd/assert.h"

static const struct {
    uint16_t status;
    struct text line;
} status_lines[] = {
#define LINE(status, reason)                                                                       \
    {                                                                                              \
        status,                                                                                    \
        {                                                                                          \
            "HTTP/1.1 " #status " " reason "\r\n",                                                 \
                sizeof("HTTP/1.1 " #status " " reason "\r\n") - 1                                  \
        }                                                                                          \
    }
    LINE(201, "Created"),
    LINE(202, "Accepted"),
    LINE(200, "OK"),
    LINE(409, "Conflict"),
    LINE(204, "No Content"),
    LINE(400, "Bad Request"),
    LINE(401, "Unauthorized"),
    LINE(403, "Forbidden"),
    LINE(404, "Not Found"),
    LINE(405, "Method Not Allowed"),
    LINE(408, "Request Timeout"),
    LINE(413, "Content Too Large"),
    LINE(414, "URI Too Long"),
    LINE(415, "Unsupported Media Type"),
    LINE(417, "Expectation Failed"),
    LINE(422, "Unprocessable Content"),
    LINE(431, "Request Header Fields Too Large"),
    LINE(500, "Internal Server Error"),
    LINE(501, "Not Implemented"),
    LINE(503, "Service Unavailable"),
    LINE(504, "Gateway Timeout"),
    LINE(505, "HTTP Version Not Supported"),
#undef LINE
};

static const struct text content_types[] = {
    [CONTENT_JSON] = {"Content-Type: application/json\r\n", 32},
    [CONTENT_PROBLEM] = {"Content-Type: application/problem+json\r\n", 40},
    [CONTENT_TEXT] = {"Content-Type: text/plain; charset=utf-8\r\n", 41},
    [CONTENT_METRICS] = {"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", 56},
    [CONTENT_OPENAPI] = {"Content-Type: application/json\r\n", 32},
};

static char *put(char *at, struct text text)
{
    return append_bytes(at, text.data, text.size);
}

void render_clock_update(struct render_clock *clock, int64_t wall_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t second = wall_ms / 1000;
    if (second == clock->second && clock->date[0] != '\0')
        return;
    clock->second = second;
    time_t now = (time_t)second;
    struct tm utc;
    RESV_ASSERT(gmtime_r(&now, &utc) != NULL);
    char text[96]; /* not strftime: its names follow the locale */
    int size = snprintf(text, sizeof(text), "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
                        days + 3 * utc.tm_wday, utc.tm_mday, months + 3 * utc.tm_mon,
                        utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
    RESV_ASSERT(size == (int)sizeof(clock->date));
    memcpy(clock->date, text, sizeof(clock->date));
}

static char *put_status_line(char *at, uint16_t status)
{
    size_t count = sizeof(status_lines) / sizeof(status_lines[0]);
    size_t i = 0;
    while (i < count && status_lines[i].status != status)
        i++;
    RESV_ASSERT(i < count);
    return put(at, status_lines[i].line);
}

static char *put_allow(char *at, unsigned allow)
{
    at = put(at, TEXT("Allow: "));
    bool first = true;
    for (enum http_method method = 0; method < METHOD_COUNT; method++) {
        if ((allow & (1U << method)) == 0)
            continue;
        if (!first)
            at = put(at, TEXT(", "));
        first = false;
        const char *name = http_method_name(method);
        at = put(at, (struct text){name, strlen(name)});
    }
    return put(at, TEXT("\r\n"));
}

static char *put_rare_fields(char *at, const struct answer *answer)
{
    if (answer->replay)
        at = put(at, TEXT("Idempotent-Replay: true\r\n"));
    if (answer->retry_after_s > 0) {
        at = put(at, TEXT("Retry-After: "));
        at = append_u64(at, answer->retry_after_s);
        at = put(at, TEXT("\r\n"));
    }
    if (answer->allow != 0)
        at = put_allow(at, answer->allow);
    if (answer->www_authenticate)
        at = put(at, TEXT("WWW-Authenticate: Bearer\r\n"));
    return at;
}

bool render_has_body(const struct exchange *exchange)
{
    return !exchange->head_only && !exchange->interim && exchange->call.answer.status != 204;
}

size_t render_head(const struct exchange *exchange, const struct render_clock *clock, char *buffer)
{
    const struct answer *answer = &exchange->call.answer;
    if (exchange->interim)
        return (size_t)(put(buffer, TEXT("HTTP/1.1 100 Continue\r\n\r\n")) - buffer);
    char *at = put_status_line(buffer, answer->status);
    at = put(at, (struct text){clock->date, sizeof(clock->date)});
    if (answer->status != 204) {
        if (answer->body_size > 0)
            at = put(at, content_types[answer->content_type]);
        at = put(at, TEXT("Content-Length: "));
        at = append_u64(at, answer->body_size);
        at = put(at, TEXT("\r\n"));
    }
    if (answer->has_location) {
        at = put(at, TEXT("Location: /api/reservations/"));
        at = append_id(at, &answer->location);
        at = put(at, TEXT("\r\n"));
    }
    at = put_rare_fields(at, answer);
    if (exchange->close_after)
        at = put(at, TEXT("Connection: close\r\n"));
    else if (exchange->http_1_0)
        at = put(at, TEXT("Connection: keep-alive\r\n"));
    at = put(at, TEXT("\r\n"));
    RESV_ASSERT(at - buffer <= RENDER_HEAD_BYTES_MAX);
    return (size_t)(at - buffer);
}
