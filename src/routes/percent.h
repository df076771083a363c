/* Percent-encoding: RFC 3986 section 2.1. */
#ifndef RESVD_ROUTES_PERCENT_H
#define RESVD_ROUTES_PERCENT_H

#include "text.h"

/* Decodes into `buffer`, which `decoded` then views. False when a '%' has no two hexadecimal digits
 * behind it, or the buffer is too small (encoded.size bytes always suffice). */
bool percent_decode(struct text encoded, char *buffer, size_t size, struct text *decoded);

#endif
