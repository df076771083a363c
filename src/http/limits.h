/* The limits of the HTTP contract that are fixed, not configured. */
#ifndef RESVD_HTTP_LIMITS_H
#define RESVD_HTTP_LIMITS_H

#define HTTP_TARGET_BYTES_MAX          8192
#define HTTP_METHOD_BYTES_MAX          64
#define HTTP_FIELDS_BYTES_MAX          16384 /* header fields and trailers together */
#define HTTP_FIELDS_MAX                100
#define HTTP_BODY_BYTES_MAX            16384
#define HTTP_CHUNK_EXTENSION_BYTES_MAX 16384
/* A body with its chunks' framing (size lines, CRLFs): 16 KiB of it in chunks of one byte take five
 * times as much; the rest is room for extensions and leading zeros. */
#define HTTP_FRAMED_BODY_BYTES_MAX     (16 * HTTP_BODY_BYTES_MAX)
#define HTTP_PIPELINED_MAX             64
#define HTTP_IDEMPOTENCY_KEY_BYTES_MAX 255

#endif
