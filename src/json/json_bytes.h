/* Reading a string token byte by byte as it decodes, without a buffer. Internal to src/json. */
#ifndef RESVD_JSON_JSON_BYTES_H
#define RESVD_JSON_JSON_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "json/json.h"

/* The text was checked by json_parse: every escape is whole and every surrogate has its pair. */
struct json_bytes {
    const unsigned char *at;
    const unsigned char *end;
    uint32_t pending; /* bytes of a \u escape still to be given, the next one lowest */
    unsigned pending_count;
};

void json_bytes_start(struct json_bytes *bytes, const char *text, const struct json_token *token);
/* The next decoded byte, 0..255, or -1 at the end. */
int json_bytes_next(struct json_bytes *bytes);

#endif
