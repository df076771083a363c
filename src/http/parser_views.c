/* The parser's views: looking at the read buffer, and keeping what outlives it. */
#include "http/parser_views.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES_MIN 512

static bool keep_bytes(struct parser *parser, const char *data, size_t size)
{
    size_t needed = parser->kept_size + size;
    if (needed > parser->kept_capacity) {
        size_t capacity = parser->kept_capacity == 0 ? KEPT_BYTES_MIN : parser->kept_capacity;
        while (capacity < needed)
            capacity *= 2;
        size_t more = capacity - parser->kept_capacity;
        if (!budget_take(parser->budget, more))
            return false;
        char *kept = realloc(parser->kept, capacity);
        if (kept == NULL) {
            budget_give(parser->budget, more);
            return false;
        }
        parser->kept = kept;
        parser->kept_capacity = (uint32_t)capacity;
    }
    if (size > 0)
        memcpy(parser->kept + parser->kept_size, data, size);
    parser->kept_size = (uint32_t)needed;
    return true;
}

static bool keep_view(struct parser *parser, struct parser_view *view)
{
    if (!view->present || view->kept)
        return true;
    uint32_t offset = parser->kept_size;
    if (!keep_bytes(parser, view->data, view->size))
        return false;
    view->offset = offset;
    view->kept = true;
    return true;
}

struct text parser_view_text(const struct parser *parser, const struct parser_view *view)
{
    if (!view->present)
        return (struct text){NULL, 0};
    if (view->size == 0)
        return TEXT(""); /* there, but empty: not the same as absent */
    return (struct text){view->kept ? parser->kept + view->offset : view->data, view->size};
}

void parser_view_open(struct parser *parser, struct parser_view *view)
{
    *view = (struct parser_view){.present = true};
    parser->open = view;
}

bool parser_keep_views(struct parser *parser)
{
    struct parser_view *views[] = {&parser->line_text, &parser->name, &parser->value,
                                   &parser->body};
    for (size_t i = 0; i < FIELD_STORED_COUNT; i++) {
        if (&parser->stored[i] != parser->open && !keep_view(parser, &parser->stored[i]))
            return false;
    }
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        if (views[i] != parser->open && !keep_view(parser, views[i]))
            return false;
    }
    return parser->open == NULL || keep_view(parser, parser->open);
}

bool parser_view_add(struct parser *parser, const char *data, size_t size)
{
    struct parser_view *view = parser->open;
    if (!view->kept && (view->size == 0 || view->data + view->size == data)) {
        if (view->size == 0)
            view->data = data;
        view->size += (uint32_t)size;
        return true;
    }
    if ((!view->kept && !parser_keep_views(parser)) || !keep_bytes(parser, data, size))
        return false;
    view->size += (uint32_t)size;
    return true;
}

void parser_free(struct parser *parser)
{
    if (parser->kept == NULL)
        return;
    budget_give(parser->budget, parser->kept_capacity);
    free(parser->kept);
    parser->kept = NULL;
    parser->kept_capacity = 0;
}
