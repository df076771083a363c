/* Parameters of a query string. */
#ifndef RESVD_ROUTES_QUERY_H
#define RESVD_ROUTES_QUERY_H

#include "text.h"

enum query_result {
    QUERY_ABSENT,
    QUERY_GIVEN,
    QUERY_BAD /* twice, longer than there is room for, or badly encoded */
};
/* Decodes the value of `name` into the buffer, of `size` bytes, with value->data pointing there.
 * "name" and "name=" both give an empty value. */
enum query_result query_find(struct text query, struct text name, char *buffer, size_t size,
                             struct text *value);

#endif
