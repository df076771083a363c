/* Views of a request's parts: in the read buffer while it lasts, then in the parser's own memory.
 *
 * A request that comes whole is only looked at. What a read leaves unfinished is copied into one
 * block, within the budget; the view that is still being filled is copied last, so that it can grow
 * at the end of the block.
 */
#ifndef RESVD_HTTP_PARSER_VIEWS_H
#define RESVD_HTTP_PARSER_VIEWS_H

#include "http/parser.h"

/* data NULL when the part is absent; not NULL, with size 0, when it is there but empty. */
struct text parser_view_text(const struct parser *parser, const struct parser_view *view);
/* Empties the view and makes it the one that is filled. */
void parser_view_open(struct parser *parser, struct parser_view *view);
/* Adds bytes to the open view: by looking at them where they follow on, else by keeping. False
 * when the budget is used up. */
bool parser_view_add(struct parser *parser, const char *data, size_t size);
/* At the end of a read. False when the budget is used up. */
bool parser_keep_views(struct parser *parser);

#endif
