/* The request parser: bytes in, one request at a time out, or the fault that ends the connection.
 *
 *   START -> LINE -> HEAD -> BODY -> (TRAILER) -> whole request -> START
 *
 * The request line is ours (request_line.h); fields, chunks and framing are llhttp's with every
 * lenient flag off, and what llhttp tolerates beyond the contract is refused here. A request that
 * comes whole in one read is only looked at, never copied; what is left of a request at the end of
 * a read is kept on the heap, within a budget.
 */
#ifndef RESVD_HTTP_PARSER_H
#define RESVD_HTTP_PARSER_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/budget.h"
#include "http/request_line.h"
#include "routes/call.h"

enum parser_event {
    PARSER_MORE,     /* all bytes used, the request is not whole */
    PARSER_CONTINUE, /* head good and whole, the client waits for 100 before it sends the body */
    PARSER_REQUEST,  /* request whole: parser_request; then parser_next_request */
    PARSER_FAULT,    /* parser->fault says what; the connection must end */
};

enum parser_stage { PARSER_START, PARSER_LINE, PARSER_HEAD, PARSER_BODY, PARSER_TRAILER };

/* Header fields whose values matter; the first ones are handed to the routes. */
enum field {
    FIELD_CONTENT_TYPE,
    FIELD_CONTENT_ENCODING,
    FIELD_IDEMPOTENCY_KEY,
    FIELD_AUTHORIZATION,
    FIELD_STORED_COUNT,
    FIELD_HOST = FIELD_STORED_COUNT,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_EXPECT,
    FIELD_CONNECTION,
    FIELD_UPGRADE,
    FIELD_COUNT,
    FIELD_OTHER = FIELD_COUNT,
};

/* Text of the request: in the read buffer, or, once kept, at an offset of the kept memory. */
struct parser_view {
    const char *data;
    uint32_t offset;
    uint32_t size;
    bool present;
    bool kept;
};

enum transfer_coding { CODING_NONE, CODING_CHUNKED, CODING_OTHER, CODING_MALFORMED };

struct parser {
    llhttp_t llhttp;
    struct budget *budget;
    char *kept;
    uint32_t kept_size;
    uint32_t kept_capacity;

    struct http_fault fault;
    enum parser_stage stage;
    bool carriage_return; /* the last byte before this read was a CR that needs its LF */
    bool expect_continue;
    bool expect_other;
    bool upgrade;
    bool connection_close;
    bool connection_keep_alive;
    bool keep_alive;
    bool header_repeated;
    enum transfer_coding coding;
    uint8_t field_count[FIELD_COUNT];
    uint16_t fields;
    uint32_t field_bytes;
    uint32_t framed_bytes; /* of the body with its chunks' framing */
    uint32_t extension_bytes;
    enum field field;
    struct request_line line;
    struct parser_view *open; /* the view that is being filled */
    struct parser_view line_text, name, value, body, stored[FIELD_STORED_COUNT];
};

/* budget: shared by all parsers of the process. */
void parser_init(struct parser *parser, struct budget *budget);
/* Gives kept memory back. */
void parser_free(struct parser *parser);

/* Reads on; *used bytes of data were consumed. Views of the request stay valid as long as `data`.
 * With PARSER_MORE everything has been consumed and what matters has been kept. */
enum parser_event parser_feed(struct parser *parser, const char *data, size_t size, size_t *used);
/* Fills all but the listener. */
void parser_request(const struct parser *parser, struct call_request *request);
/* After PARSER_REQUEST. */
void parser_next_request(struct parser *parser);
/* A byte of a request has come and the request is not whole. */
bool parser_in_request(const struct parser *parser);

#endif
