/* Rendering: an answer's status line and header fields, ahead of its body. */
#ifndef RESVD_HTTP_RENDER_H
#define RESVD_HTTP_RENDER_H

#include <stddef.h>
#include <stdint.h>

#include "http/exchange.h"

/* Bytes that the head of any answer fits in. */
#define RENDER_HEAD_BYTES_MAX 512

/* The Date field, rendered once a second. */
struct render_clock {
    int64_t second; /* that `date` stands for; 0 at first */
    char date[37];  /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
};
void render_clock_update(struct render_clock *clock, int64_t wall_ms);

/* Writes the head into `buffer` (RENDER_HEAD_BYTES_MAX), returns its size. */
size_t render_head(const struct exchange *exchange, const struct render_clock *clock, char *buffer);
/* Whether the answer's body is sent. */
bool render_has_body(const struct exchange *exchange);

#endif
