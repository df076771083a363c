/* The request line: method, target and version, judged exactly.
 *
 * llhttp stops at the first byte that is not one of its methods or versions; to tell 400, 405, 414,
 * 501 and 505 apart the whole line is needed, so it is read here, and llhttp gets one that is
 * known to be good.
 */
#ifndef RESVD_HTTP_REQUEST_LINE_H
#define RESVD_HTTP_REQUEST_LINE_H

#include <stdint.h>

#include "routes/call.h"
#include "text.h"

struct request_line {
    enum http_method method;
    uint8_t version_minor; /* of HTTP/1 */
    struct text path;      /* starts with '/', or is "*" */
    struct text query;     /* data NULL when there is no '?' */
};

/* What is wrong: the slug of a problem and a sentence. slug NULL: nothing. Static text. */
struct http_fault {
    const char *slug;
    const char *detail;
};

/* `line` without its CRLF. Views in `out` point into it. */
struct http_fault request_line_parse(struct text line, struct request_line *out);

/* What can be said of bytes of a line whose end has not come: faults that nothing can mend. */
struct http_fault request_line_check_bytes(struct text bytes);
/* A line that has grown past every limit without ending. */
struct http_fault request_line_too_long(struct text bytes);
/* Bytes that a line may have without its CRLF before it is too long. */
#define REQUEST_LINE_BYTES_MAX (HTTP_METHOD_BYTES_MAX + HTTP_TARGET_BYTES_MAX + 16)

/* uri-host [":" port], RFC 9110 section 7.2 and RFC 3986 section 3.2.2. */
bool host_is_valid(struct text host);

#endif
