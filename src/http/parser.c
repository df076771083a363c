/* The request parser: stages, llhttp's callbacks, and what is kept between two reads. */
#include "http/parser.h"

#include <string.h>

#include "http/fields.h"
#include "http/limits.h"
#include "http/parser_views.h"
#include "resvd/assert.h"

static const struct http_fault no_fault = {NULL, NULL};
static const struct http_fault body_too_large = {"content-too-large",
                                                 "the request body is over 16,384 bytes"};
static const struct http_fault fields_too_large = {
    "header-fields-too-large", "header fields and trailers are over 16,384 bytes or 100 fields"};
static const struct http_fault bare_carriage_return = {"bad-request",
                                                       "the request line has a bare CR in it"};
static const struct http_fault out_of_memory = {"unavailable",
                                                "too many requests are half received; try again"};

/* --- llhttp's callbacks ------------------------------------------------------------------------
 */

static int fail(struct parser *parser, struct http_fault fault)
{
    if (parser->fault.slug == NULL)
        parser->fault = fault;
    return HPE_USER;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t length)
{
    struct parser *parser = llhttp->data;
    if (parser->open != &parser->name)
        parser_view_open(parser, &parser->name);
    return parser_view_add(parser, at, length) ? 0 : fail(parser, out_of_memory);
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct parser *parser = llhttp->data;
    parser->field = field_by_name(parser_view_text(parser, &parser->name));
    parser->name.present = false;
    parser->open = NULL;
    if (++parser->fields > HTTP_FIELDS_MAX)
        return fail(parser, fields_too_large);
    if (parser->stage == PARSER_TRAILER) {
        if (parser->field == FIELD_CONTENT_LENGTH || parser->field == FIELD_TRANSFER_ENCODING ||
            parser->field == FIELD_HOST)
            return fail(parser, (struct http_fault){"bad-request",
                                                    "a trailer must not be a framing field"});
        parser->field = FIELD_OTHER;
    }
    if (parser->field != FIELD_OTHER) {
        if (parser->field_count[parser->field] < UINT8_MAX)
            parser->field_count[parser->field]++;
        parser_view_open(parser, &parser->value);
    }
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t length)
{
    struct parser *parser = llhttp->data;
    if (!field_bytes_allowed((struct text){at, length}))
        return fail(parser,
                    (struct http_fault){"bad-request", "a header field has a control byte in it"});
    if (parser->open == NULL)
        return 0;
    return parser_view_add(parser, at, length) ? 0 : fail(parser, out_of_memory);
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct parser *parser = llhttp->data;
    if (parser->open == NULL)
        return 0;
    parser->open = NULL;
    struct text value = field_trim(parser_view_text(parser, &parser->value));
    parser->value.size = (uint32_t)value.size;
    if (!parser->value.kept)
        parser->value.data = value.data;
    else if (value.size > 0)
        parser->value.offset = (uint32_t)(value.data - parser->kept);
    switch (parser->field) {
    case FIELD_CONTENT_TYPE:
    case FIELD_CONTENT_ENCODING:
    case FIELD_IDEMPOTENCY_KEY:
    case FIELD_AUTHORIZATION:
        if (parser->field_count[parser->field] > 1)
            parser->header_repeated = true;
        parser->stored[parser->field] = parser->value;
        break;
    case FIELD_HOST:
        if (!host_is_valid(value))
            return fail(parser, (struct http_fault){"bad-request", "the Host field is not valid"});
        break;
    case FIELD_TRANSFER_ENCODING:
        parser->coding = transfer_coding_of(value);
        break;
    case FIELD_EXPECT:
        if (field_equal(value, TEXT("100-continue")))
            parser->expect_continue = true;
        else
            parser->expect_other = true;
        break;
    case FIELD_CONNECTION:
        parser->connection_close |= field_list_has(value, TEXT("close"));
        parser->connection_keep_alive |= field_list_has(value, TEXT("keep-alive"));
        break;
    case FIELD_UPGRADE:
        parser->upgrade = true;
        break;
    case FIELD_CONTENT_LENGTH:
    case FIELD_OTHER:
        break;
    }
    parser->value.present = false;
    return 0;
}

/* The checks that need the whole head, in the order of the contract's table. */
static struct http_fault check_head(struct parser *parser)
{
    const uint8_t *count = parser->field_count;
    if (count[FIELD_CONTENT_LENGTH] > 1)
        return (struct http_fault){"bad-request", "Content-Length came more than once"};
    if (count[FIELD_TRANSFER_ENCODING] > 1 || parser->coding == CODING_MALFORMED)
        return (struct http_fault){"bad-request", "Transfer-Encoding is malformed or repeated"};
    if (count[FIELD_TRANSFER_ENCODING] > 0 && count[FIELD_CONTENT_LENGTH] > 0)
        return (struct http_fault){"bad-request",
                                   "Transfer-Encoding and Content-Length exclude each other"};
    if (count[FIELD_TRANSFER_ENCODING] > 0 && parser->line.version_minor == 0)
        return (struct http_fault){"bad-request", "HTTP/1.0 has no Transfer-Encoding"};
    if (count[FIELD_HOST] > 1)
        return (struct http_fault){"bad-request", "the Host field came more than once"};
    if (count[FIELD_HOST] == 0 && parser->line.version_minor > 0)
        return (struct http_fault){"bad-request", "the Host field is missing"};
    if (parser->coding == CODING_OTHER)
        return (struct http_fault){"not-implemented",
                                   "the only transfer coding here is chunked, alone"};
    if (count[FIELD_CONTENT_LENGTH] > 0 && parser->llhttp.content_length > HTTP_BODY_BYTES_MAX)
        return body_too_large;
    if (parser->expect_other)
        return (struct http_fault){"expectation-failed",
                                   "the only expectation met here is 100-continue"};
    return no_fault;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct parser *parser = llhttp->data;
    struct http_fault fault = check_head(parser);
    if (fault.slug != NULL)
        return fail(parser, fault);
    return HPE_PAUSED; /* so that the bytes of the head are known exactly */
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
    struct parser *parser = llhttp->data;
    if (!parser->body.present)
        parser_view_open(parser, &parser->body);
    if (parser->body.size + length > HTTP_BODY_BYTES_MAX)
        return fail(parser, body_too_large);
    return parser_view_add(parser, at, length) ? 0 : fail(parser, out_of_memory);
}

static int on_chunk_header(llhttp_t *llhttp)
{
    struct parser *parser = llhttp->data;
    if (llhttp->content_length == 0) {
        parser->stage = PARSER_TRAILER;
        parser->open = NULL;
        return HPE_PAUSED; /* from here bytes count as fields */
    }
    if (llhttp->content_length > HTTP_BODY_BYTES_MAX - parser->body.size)
        return fail(parser, body_too_large);
    return 0;
}

static int count_extension(struct parser *parser, size_t bytes)
{
    static const struct http_fault too_large = {"content-too-large",
                                                "chunk extensions are over 16,384 bytes"};
    parser->extension_bytes += (uint32_t)bytes;
    return parser->extension_bytes > HTTP_CHUNK_EXTENSION_BYTES_MAX ? fail(parser, too_large) : 0;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t length)
{
    struct parser *parser = llhttp->data;
    /* However the bytes are cut into reads, the first thing that is wrong decides. */
    size_t left = HTTP_CHUNK_EXTENSION_BYTES_MAX - parser->extension_bytes;
    if (!field_bytes_allowed((struct text){at, length < left ? length : left}))
        return fail(parser, (struct http_fault){"bad-request",
                                                "a chunk extension has a control byte in it"});
    return count_extension(parser, length);
}

/* Its ';' or '='. */
static int on_chunk_extension_complete(llhttp_t *llhttp)
{
    return count_extension(llhttp->data, 1);
}

static int on_message_complete(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_chunk_extension_name_complete = on_chunk_extension_complete,
    .on_chunk_extension_value_complete = on_chunk_extension_complete,
    .on_message_complete = on_message_complete,
};

/* --- stages -------------------------------------------------------------------------------------
 */

static enum parser_event fault_event(struct parser *parser, struct http_fault fault)
{
    parser->fault = fault;
    return PARSER_FAULT;
}

/* Whole CRLFs in front of a request line are skipped; a bare one of either ends it. */
static bool skip_empty_lines(struct parser *parser, const char *data, size_t size, size_t *used)
{
    while (*used < size) {
        char byte = data[*used];
        if (parser->carriage_return != (byte == '\n'))
            return false;
        if (byte != '\r' && byte != '\n')
            return true;
        parser->carriage_return = byte == '\r';
        ++*used;
    }
    return true;
}

/* Puts a line that is known to be good in front of llhttp; the target is not its concern. */
static void start_llhttp(struct parser *parser)
{
    static const char *const lines[METHOD_COUNT][2] = {
        [METHOD_GET] = {"GET / HTTP/1.0\r\n", "GET / HTTP/1.1\r\n"},
        [METHOD_HEAD] = {"HEAD / HTTP/1.0\r\n", "HEAD / HTTP/1.1\r\n"},
        [METHOD_POST] = {"POST / HTTP/1.0\r\n", "POST / HTTP/1.1\r\n"},
        [METHOD_PUT] = {"PUT / HTTP/1.0\r\n", "PUT / HTTP/1.1\r\n"},
        [METHOD_DELETE] = {"DELETE / HTTP/1.0\r\n", "DELETE / HTTP/1.1\r\n"},
        [METHOD_OPTIONS] = {"OPTIONS / HTTP/1.0\r\n", "OPTIONS / HTTP/1.1\r\n"},
        [METHOD_PATCH] = {"PATCH / HTTP/1.0\r\n", "PATCH / HTTP/1.1\r\n"},
        [METHOD_TRACE] = {"TRACE / HTTP/1.0\r\n", "TRACE / HTTP/1.1\r\n"},
    };
    const char *line = lines[parser->line.method][parser->line.version_minor];
    RESV_ASSERT(line != NULL);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    RESV_ASSERT(llhttp_execute(&parser->llhttp, line, strlen(line)) == HPE_OK);
    parser->stage = PARSER_HEAD;
}

static enum parser_event feed_line(struct parser *parser, const char *data, size_t size,
                                   size_t *used)
{
    const char *start = data + *used;
    const char *end = memchr(start, '\n', size - *used);
    size_t length = end == NULL ? size - *used : (size_t)(end - start);
    struct parser_view *view = &parser->line_text;
    struct text before = parser_view_text(parser, view);
    if (length > 0 && before.size > 0 && before.data[before.size - 1] == '\r')
        return fault_event(parser, bare_carriage_return);
    if (view->size + length > REQUEST_LINE_BYTES_MAX + 1) {
        size_t fits = REQUEST_LINE_BYTES_MAX + 1 - view->size;
        struct http_fault bytes_fault = request_line_check_bytes((struct text){start, fits});
        if (bytes_fault.slug != NULL)
            return fault_event(parser, bytes_fault);
        if (!parser_view_add(parser, start, fits))
            return fault_event(parser, out_of_memory);
        return fault_event(parser, request_line_too_long(parser_view_text(parser, view)));
    }
    if (length > 0 && !parser_view_add(parser, start, length))
        return fault_event(parser, out_of_memory);
    *used += length;
    struct text line = parser_view_text(parser, view);
    bool carriage_return = line.size > 0 && line.data[line.size - 1] == '\r';
    if (carriage_return)
        line.size--;
    /* Before the line is judged, so that it does not matter when its end comes. */
    size_t checked = length > 0 && carriage_return ? length - 1 : length;
    struct http_fault fault = request_line_check_bytes((struct text){start, checked});
    if (fault.slug != NULL)
        return fault_event(parser, fault);
    if (end == NULL)
        return PARSER_MORE;
    ++*used;
    if (!carriage_return)
        return fault_event(
            parser, (struct http_fault){"bad-request", "the request line ends in a bare LF"});
    fault = request_line_parse(line, &parser->line);
    if (fault.slug != NULL)
        return fault_event(parser, fault);
    view->size = (uint32_t)line.size;
    parser->open = NULL;
    start_llhttp(parser);
    return PARSER_MORE;
}

/* What llhttp refused; our callbacks' own faults go first. */
static enum parser_event llhttp_fault(struct parser *parser, llhttp_errno_t error)
{
    if (parser->fault.slug != NULL)
        return PARSER_FAULT;
    if (error == HPE_INVALID_TRANSFER_ENCODING || error == HPE_INVALID_CONTENT_LENGTH ||
        error == HPE_UNEXPECTED_CONTENT_LENGTH)
        return fault_event(
            parser,
            (struct http_fault){"bad-request", "Content-Length or Transfer-Encoding is malformed"});
    if (error == HPE_INVALID_CHUNK_SIZE)
        return fault_event(parser, (struct http_fault){"bad-request", "a chunk size is malformed"});
    return fault_event(parser, (struct http_fault){"bad-request", "the request is malformed"});
}

/* One slice of fields, no more of it than the limit on fields allows. */
static enum parser_event feed_fields(struct parser *parser, const char *data, size_t size,
                                     size_t *used, bool *complete)
{
    size_t limit = HTTP_FIELDS_BYTES_MAX + 2 - parser->field_bytes; /* 2: the empty line */
    size_t slice = size - *used < limit ? size - *used : limit;
    const char *start = data + *used;
    llhttp_errno_t error = llhttp_execute(&parser->llhttp, start, slice);
    *complete = error == HPE_PAUSED;
    if (error == HPE_PAUSED)
        slice = (size_t)(llhttp_get_error_pos(&parser->llhttp) - start);
    else if (error != HPE_OK)
        return llhttp_fault(parser, error);
    *used += slice;
    parser->field_bytes += (uint32_t)slice;
    if (!*complete && parser->field_bytes >= HTTP_FIELDS_BYTES_MAX + 2)
        return fault_event(parser, fields_too_large);
    return PARSER_MORE;
}

static enum parser_event feed_head(struct parser *parser, const char *data, size_t size,
                                   size_t *used)
{
    bool complete;
    enum parser_event event = feed_fields(parser, data, size, used, &complete);
    if (event == PARSER_FAULT || !complete)
        return event;
    parser->field_bytes -= 2;
    parser->stage = PARSER_BODY;
    parser->keep_alive = (parser->line.version_minor > 0 || parser->connection_keep_alive) &&
                         !parser->connection_close && !parser->upgrade;
    llhttp_resume(&parser->llhttp);
    bool body = parser->coding == CODING_CHUNKED || parser->llhttp.content_length > 0;
    if (parser->expect_continue && body && parser->line.version_minor > 0)
        return PARSER_CONTINUE;
    return PARSER_MORE;
}

/* One slice of the body, no more of it than the limit on a body and its framing allows. */
static enum parser_event feed_body(struct parser *parser, const char *data, size_t size,
                                   size_t *used)
{
    const char *start = data + *used;
    size_t limit = HTTP_FRAMED_BODY_BYTES_MAX - parser->framed_bytes;
    size_t slice = size - *used < limit ? size - *used : limit;
    llhttp_errno_t error = llhttp_execute(&parser->llhttp, start, slice);
    if (error == HPE_PAUSED) {
        size_t fed = (size_t)(llhttp_get_error_pos(&parser->llhttp) - start);
        *used += fed;
        parser->framed_bytes += (uint32_t)fed;
        if (parser->stage != PARSER_TRAILER)
            return PARSER_REQUEST;
        llhttp_resume(&parser->llhttp);
        return PARSER_MORE;
    }
    if (error != HPE_OK)
        return llhttp_fault(parser, error);
    *used += slice;
    parser->framed_bytes += (uint32_t)slice;
    if (parser->framed_bytes >= HTTP_FRAMED_BODY_BYTES_MAX)
        return fault_event(
            parser, (struct http_fault){"content-too-large", "the chunks' framing is too large"});
    return PARSER_MORE;
}

static enum parser_event feed_trailer(struct parser *parser, const char *data, size_t size,
                                      size_t *used)
{
    bool complete;
    enum parser_event event = feed_fields(parser, data, size, used, &complete);
    return event == PARSER_MORE && complete ? PARSER_REQUEST : event;
}

static enum parser_event feed_start(struct parser *parser, const char *data, size_t size,
                                    size_t *used)
{
    if (!skip_empty_lines(parser, data, size, used))
        return fault_event(
            parser, (struct http_fault){"bad-request", "a bare CR or LF before the request"});
    if (*used < size) {
        parser->stage = PARSER_LINE;
        parser_view_open(parser, &parser->line_text);
    }
    return PARSER_MORE;
}

/* A request that has no body is whole with its head, though no byte is left to feed. */
static bool body_is_absent(const struct parser *parser)
{
    return parser->coding == CODING_NONE && parser->llhttp.content_length == 0;
}

enum parser_event parser_feed(struct parser *parser, const char *data, size_t size, size_t *used)
{
    enum parser_event event = PARSER_MORE;
    *used = 0;
    while (event == PARSER_MORE && *used < size) {
        switch (parser->stage) {
        case PARSER_START:
            event = feed_start(parser, data, size, used);
            break;
        case PARSER_LINE:
            event = feed_line(parser, data, size, used);
            break;
        case PARSER_HEAD:
            event = feed_head(parser, data, size, used);
            if (event == PARSER_MORE && parser->stage == PARSER_BODY && body_is_absent(parser))
                event = PARSER_REQUEST;
            break;
        case PARSER_BODY:
            event = feed_body(parser, data, size, used);
            break;
        case PARSER_TRAILER:
            event = feed_trailer(parser, data, size, used);
            break;
        }
    }
    if (event == PARSER_MORE || event == PARSER_CONTINUE) {
        if (!parser_keep_views(parser))
            return fault_event(parser, out_of_memory);
    }
    return event;
}

void parser_request(const struct parser *parser, struct call_request *request)
{
    struct request_line line = parser->line;
    if (parser->line_text.kept) /* its memory may have moved since it was split */
        request_line_parse(parser_view_text(parser, &parser->line_text), &line);
    request->method = line.method;
    request->path = line.path;
    request->query = line.query;
    request->body = parser_view_text(parser, &parser->body);
    request->content_type = parser_view_text(parser, &parser->stored[FIELD_CONTENT_TYPE]);
    request->content_encoding = parser_view_text(parser, &parser->stored[FIELD_CONTENT_ENCODING]);
    request->idempotency_key = parser_view_text(parser, &parser->stored[FIELD_IDEMPOTENCY_KEY]);
    request->authorization = parser_view_text(parser, &parser->stored[FIELD_AUTHORIZATION]);
    request->header_repeated = parser->header_repeated;
}

bool parser_in_request(const struct parser *parser)
{
    return parser->stage != PARSER_START;
}

static void reset(struct parser *parser)
{
    size_t start = offsetof(struct parser, kept_size);
    uint32_t capacity = parser->kept_capacity;
    memset((char *)parser + start, 0, sizeof(*parser) - start);
    parser->kept_capacity = capacity;
}

void parser_next_request(struct parser *parser)
{
    parser_free(parser);
    reset(parser);
}

void parser_init(struct parser *parser, struct budget *budget)
{
    memset(parser, 0, sizeof(*parser));
    parser->budget = budget;
}
