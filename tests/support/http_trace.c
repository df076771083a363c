/* Running the request parser over bytes that are cut into reads, and writing down what it says. */
#include "support/http_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/limits.h"
#include "resvd/assert.h"

void http_trace_add(struct http_trace *trace, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&line, format, arguments);
    va_end(arguments);
    RESV_ASSERT(size >= 0);
    trace->text = realloc(trace->text, trace->size + (size_t)size + 1);
    RESV_ASSERT(trace->text != NULL);
    memcpy(trace->text + trace->size, line, (size_t)size + 1);
    trace->size += (size_t)size;
    free(line);
}

static void add_text(struct http_trace *trace, const char *name, struct text text)
{
    if (text.data != NULL)
        http_trace_add(trace, " %s=%zu:%.*s", name, text.size, (int)text.size, text.data);
}

static void add_request(struct http_trace *trace, const struct call_request *request)
{
    RESV_ASSERT(request->path.size > 0);
    RESV_ASSERT(request->path.size + request->query.size <= HTTP_TARGET_BYTES_MAX);
    RESV_ASSERT(request->body.size <= HTTP_BODY_BYTES_MAX);
    http_trace_add(trace, "%s %.*s", http_method_name(request->method), (int)request->path.size,
                   request->path.data);
    add_text(trace, "query", request->query);
    add_text(trace, "type", request->content_type);
    add_text(trace, "encoding", request->content_encoding);
    add_text(trace, "key", request->idempotency_key);
    add_text(trace, "authorization", request->authorization);
    if (request->header_repeated)
        http_trace_add(trace, " repeated");
}

struct feeding {
    struct parser parser;
    struct http_trace *trace;
    void (*each)(void *each_data, const struct call_request *request, struct http_trace *trace);
    void *each_data;
};

/* False when nothing after it counts. */
static bool whole_request(struct feeding *feeding)
{
    struct parser *parser = &feeding->parser;
    struct call_request request = {.listener = LISTENER_API};
    parser_request(parser, &request);
    add_request(feeding->trace, &request);
    if (request.body.size > 0)
        add_text(feeding->trace, "body", request.body);
    http_trace_add(feeding->trace, " %s%s\n", parser->line.version_minor == 0 ? "1.0 " : "",
                   parser->keep_alive ? "keep" : "close");
    feeding->trace->requests++;
    if (feeding->each != NULL)
        feeding->each(feeding->each_data, &request, feeding->trace);
    bool keep_alive = parser->keep_alive;
    parser_next_request(parser);
    RESV_ASSERT(!parser_in_request(parser) && parser->kept == NULL);
    return keep_alive;
}

/* One read; false when nothing after it counts. */
static bool feed_read(struct feeding *feeding, const char *data, size_t size)
{
    struct parser *parser = &feeding->parser;
    struct call_request request = {.listener = LISTENER_API};
    size_t at = 0;
    while (at < size) {
        size_t used = SIZE_MAX;
        enum parser_event event = parser_feed(parser, data + at, size - at, &used);
        if (event != PARSER_FAULT)
            RESV_ASSERT(used > 0 && used <= size - at);
        at += used;
        switch (event) {
        case PARSER_MORE:
            RESV_ASSERT(at == size);
            return true;
        case PARSER_CONTINUE:
            parser_request(parser, &request);
            http_trace_add(feeding->trace, "100 ");
            add_request(feeding->trace, &request);
            http_trace_add(feeding->trace, "\n");
            RESV_ASSERT(request.body.size == 0);
            break;
        case PARSER_REQUEST:
            if (!whole_request(feeding))
                return false;
            break;
        case PARSER_FAULT:
            RESV_ASSERT(parser->fault.slug != NULL && parser->fault.detail != NULL);
            feeding->trace->slug = parser->fault.slug;
            http_trace_add(feeding->trace, "fault %s\n", parser->fault.slug);
            return false;
        }
    }
    return true;
}

void http_trace_run(struct http_trace *trace, const char *data, size_t size, const size_t *sizes,
                    size_t sizes_count, size_t budget_bytes,
                    void (*each)(void *each_data, const struct call_request *request,
                                 struct http_trace *trace),
                    void *each_data)
{
    struct budget budget = {.max_bytes = budget_bytes};
    struct feeding feeding = {.trace = trace, .each = each, .each_data = each_data};
    *trace = (struct http_trace){0};
    http_trace_add(trace, "%s", "");
    parser_init(&feeding.parser, &budget);
    size_t at = 0;
    bool on = true;
    for (size_t i = 0; on && at < size; i++) {
        size_t read = sizes[i < sizes_count ? i : sizes_count - 1];
        if (read > size - at)
            read = size - at;
        char *copy = malloc(read > 0 ? read : 1);
        RESV_ASSERT(copy != NULL);
        memcpy(copy, data + at, read);
        on = feed_read(&feeding, copy, read);
        free(copy);
        RESV_ASSERT(budget.used_bytes <= budget.max_bytes);
        if (budget.used_bytes > trace->budget_peak_bytes)
            trace->budget_peak_bytes = budget.used_bytes;
        at += read;
    }
    trace->in_request = on && parser_in_request(&feeding.parser);
    if (trace->in_request)
        http_trace_add(trace, "rest\n");
    parser_free(&feeding.parser);
    RESV_ASSERT(budget.used_bytes == 0);
}
