/* Problems: every error that resvd answers with, as one table.
 *
 * A problem's type is "/problems/{slug}", stable for clients, and served there as a short page of
 * text. Bodies with the default detail are static text, rendered when this file is compiled.
 */
#ifndef RESVD_ROUTES_PROBLEMS_H
#define RESVD_ROUTES_PROBLEMS_H

#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* X(name, slug, status, title, default detail, what the page says to do). Plain ASCII without
 * quotes and backslashes: it goes into JSON as it is. */
#define PROBLEMS(X)                                                                                \
    X(SOLD_OUT, "sold-out", 409, "Sold out", "Fewer seats are left than were asked for.",          \
      "Nothing was taken. Ask for fewer seats, or try again later: a seat comes back when "        \
      "somebody gives theirs up.")                                                                 \
    X(MEMBER_LIMIT, "member-limit", 409, "Member limit reached",                                   \
      "The member would have more seats of this concert than one member may have.",                \
      "Nothing was taken. The limit is the concert's memberLimit and counts all seats that the "   \
      "member holds.")                                                                             \
    X(CONTENDED, "contended", 409, "Too many at once",                                             \
      "The concert's lock was not won in time; nothing was taken.",                                \
      "Send the same request again after the time in Retry-After.")                                \
    X(IN_PROGRESS, "in-progress", 409, "Still in progress",                                        \
      "The first request with this Idempotency-Key is still running.",                             \
      "Send the same request again a little later: it then gets the first one's answer.")          \
    X(CAPACITY_TOO_LOW, "capacity-too-low", 409, "Capacity too low",                               \
      "The capacity is below what is sold; nothing was changed.",                                  \
      "Choose a capacity of at least the seats that are sold, or release some first.")             \
    X(KEY_REUSED, "key-reused", 422, "Idempotency-Key used for another request",                   \
      "The same member sent this Idempotency-Key with another concert or quantity before.",        \
      "Nothing was taken. Use a new key for each new intent, and the old key only to repeat.")     \
    X(UNKNOWN_CONCERT, "unknown-concert", 404, "Unknown concert",                                  \
      "There is no concert with this concertId.",                                                  \
      "Nothing was taken. GET /api/concerts lists "                                                \
      "the concerts.")                                                                             \
    X(UNKNOWN_MEMBER, "unknown-member", 404, "Unknown member",                                     \
      "There is no member with this memberId.",                                                    \
      "Nothing was taken. Members are made with POST /admin/members on the admin listener.")       \
    X(NOT_FOUND, "not-found", 404, "Not found", "There is nothing at this path.",                  \
      "Check the path and the id in it; GET /openapi.json describes every path.")                  \
    X(ASYNC_ONLY, "async-only", 404, "Only with an asynchronous strategy",                         \
      "This path exists only while the strategy is async.",                                        \
      "Start resvd with --strategy=async, or use POST /api/reservations, which every strategy "    \
      "has.")                                                                                      \
    X(METHOD_NOT_ALLOWED, "method-not-allowed", 405, "Method not allowed",                         \
      "This path does not have this method; Allow lists those that it has.",                       \
      "Use one of the methods in the Allow header.")                                               \
    X(MALFORMED_JSON, "malformed-json", 400, "Not JSON", "The body is not valid JSON.",            \
      "The body must be one JSON value after RFC 8259 in UTF-8, no key twice in an object, at "    \
      "most 16 levels deep, with nothing after it.")                                               \
    X(INVALID_FIELDS, "invalid-fields", 422, "Invalid fields", "Some fields are not valid.",       \
      "The member errors names every field that is wrong, and what is wrong with it.")             \
    X(INVALID_KEY, "invalid-idempotency-key", 400, "Invalid Idempotency-Key",                      \
      "The Idempotency-Key must be 1 to 255 visible ASCII characters.",                            \
      "A UUID of your own making is a good key.")                                                  \
    X(REPEATED_HEADER, "repeated-header", 400, "Repeated header",                                  \
      "One of Content-Type, Content-Encoding, Idempotency-Key and Authorization came twice.",      \
      "Send each of these header fields at most once.")                                            \
    X(UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", 415, "Unsupported media type",             \
      "The body must be application/json without Content-Encoding.",                               \
      "Send Content-Type: application/json and no Content-Encoding.")                              \
    X(UNAUTHORIZED, "unauthorized", 401, "Unauthorized",                                           \
      "This server wants Authorization: Bearer with one of its keys.",                             \
      "Ask whoever runs this server for a key.")                                                   \
    X(FORBIDDEN, "forbidden", 403, "Forbidden",                                                    \
      "Reset is switched off; allow_reset = on in [server] switches it on.",                       \
      "A reset deletes everything, so that it must be allowed in the configuration first.")        \
    X(UNAVAILABLE, "unavailable", 503, "Unavailable",                                              \
      "The request cannot be served right now; nothing was taken.",                                \
      "Send the same request again after the time in Retry-After.")                                \
    X(TIMEOUT, "timeout", 504, "Deadline passed",                                                  \
      "The deadline passed before the work was done; nothing was taken.",                          \
      "Nothing was taken or changed. Send the same request again.")                                \
    X(UNKNOWN_OUTCOME, "unknown-outcome", 500, "Unknown outcome",                                  \
      "The write was sent, but its answer was lost: it may or may not have happened.",             \
      "Look the reservation up at Location, or send the same request with the same "               \
      "Idempotency-Key again: neither takes a second seat.")                                       \
    X(BAD_REQUEST, "bad-request", 400, "Bad request", "The request is not valid HTTP/1.1.",        \
      "The connection closes after this answer; nothing that followed is acted upon.")             \
    X(REQUEST_TIMEOUT, "request-timeout", 408, "Request timeout",                                  \
      "The request was not whole in time.", "Send head and body without long pauses.")             \
    X(CONTENT_TOO_LARGE, "content-too-large", 413, "Content too large",                            \
      "The body is larger than is accepted.", "Bodies are at most 16 KiB.")                        \
    X(URI_TOO_LONG, "uri-too-long", 414, "URI too long",                                           \
      "The request target is longer than is accepted.", "Targets are at most 8 KiB.")              \
    X(EXPECTATION_FAILED, "expectation-failed", 417, "Expectation failed",                         \
      "Only Expect: 100-continue is understood.", "Leave the Expect header out.")                  \
    X(HEADERS_TOO_LARGE, "header-fields-too-large", 431, "Header fields too large",                \
      "The header fields are too large or too many.",                                              \
      "Header fields and trailers are at most 16 KiB and 100 together.")                           \
    X(NOT_IMPLEMENTED, "not-implemented", 501, "Not implemented",                                  \
      "The method or the transfer coding is not known.",                                           \
      "Use a method that OPTIONS lists, and no transfer coding but chunked.")                      \
    X(VERSION_NOT_SUPPORTED, "http-version-not-supported", 505, "HTTP version not supported",      \
      "Only HTTP/1.0 and HTTP/1.1 are understood.", "Use HTTP/1.1.")                               \
    X(TOO_MANY_CONNECTIONS, "too-many-connections", 503, "Too many connections",                   \
      "All connections that this server may have are in use.",                                     \
      "Try again after the time in Retry-After, and keep connections alive and few.")

enum problem {
#define X(name, ...) PROBLEM_##name,
    PROBLEMS(X)
#undef X
        PROBLEM_COUNT
};

struct problem_entry {
    struct text slug;
    uint16_t status;
    struct text title;
    struct text detail;
    struct text body;       /* JSON with the default detail */
    struct text study_body; /* the same with the study's `error` and `message` */
    struct text page;       /* what GET /problems/{slug} answers */
    uint16_t retry_after_s; /* 0: no Retry-After */
};

/* All static. */
extern const struct problem_entry problems[PROBLEM_COUNT];

/* PROBLEM_COUNT when there is none. */
enum problem problem_find(struct text slug);

#endif
