/* Concerts for everybody: one, or a list in pages. */
#include <stdio.h>

#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/query.h"
#include "routes/routes_state.h"
#include "json/json_build.h"

#define CURSOR_ERROR "must be a nextCursor that this server gave"

/* A cursor is "c1." and the id of the last concert of the page in 14 hexadecimal digits: opaque,
 * and of one form only, so that anything else is found out. */
#define CURSOR_PREFIX "c1."
#define CURSOR_DIGITS 14
#define CURSOR_BYTES  (sizeof(CURSOR_PREFIX) - 1 + CURSOR_DIGITS)

/* --- one ------------------------------------------------------------------------------------- */

static void get_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op))
        answer_json(call, outcome_answers[op->outcome].status, CONTENT_JSON,
                    concert_json(&op->catalog->concerts[0]));
    routes_catalog_done(op);
}

void route_concert_get(const struct route_call *self)
{
    int64_t id;
    if (!routes_parse_number(self->parameter, &id)) {
        answer_problem_with(self->call, PROBLEM_NOT_FOUND, "There is no concert with this id.",
                            NULL, NULL);
        return;
    }
    struct resv_op *op = routes_take_catalog(self, RESV_OP_CONCERT_GET);
    if (op == NULL)
        return;
    op->concert_id = id;
    routes_submit(self, op, get_done);
}

/* --- the list -------------------------------------------------------------------------------- */

static cJSON *next_cursor(const struct resv_catalog_request *list)
{
    if (!list->more || list->count == 0)
        return cJSON_CreateNull();
    char cursor[CURSOR_BYTES + 8];
    snprintf(cursor, sizeof(cursor), CURSOR_PREFIX "%014llx",
             (unsigned long long)list->concerts[list->count - 1].id);
    return cJSON_CreateString(cursor);
}

static void list_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        const struct resv_catalog_request *list = op->catalog;
        cJSON *page = cJSON_CreateObject();
        bool good = json_build_add(page, "items", concerts_json(list->concerts, list->count));
        good = good && json_build_add(page, "nextCursor", next_cursor(list));
        answer_json(call, outcome_answers[op->outcome].status, CONTENT_JSON,
                    json_when_good(page, good));
    }
    routes_catalog_done(op);
}

static bool parse_cursor(struct text cursor, int64_t *after_id)
{
    const size_t prefix = sizeof(CURSOR_PREFIX) - 1;
    if (cursor.size != CURSOR_BYTES || memcmp(cursor.data, CURSOR_PREFIX, prefix) != 0)
        return false;
    int64_t value = 0;
    for (size_t i = prefix; i < cursor.size; i++) {
        char digit = cursor.data[i];
        if (digit >= '0' && digit <= '9')
            value = value * 16 + (digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = value * 16 + (digit - 'a' + 10);
        else
            return false;
    }
    if (value > RESV_INTEGER_MAX)
        return false;
    *after_id = value;
    return true;
}

static void read_list_query(const struct route_call *self, int64_t *limit, int64_t *after_id)
{
    struct text value;
    char buffer[32];
    self->routes->errors.count = 0;
    routes_read_limit(self, limit);
    enum query_result result =
        query_find(self->request->query, TEXT("cursor"), buffer, sizeof(buffer), &value);
    if (result == QUERY_BAD || (result == QUERY_GIVEN && !parse_cursor(value, after_id)))
        field_errors_add(&self->routes->errors, FIELD_NO_ELEMENT, TEXT("cursor"), CURSOR_ERROR);
}

void route_concert_list(const struct route_call *self)
{
    int64_t limit;
    int64_t after_id = 0;
    read_list_query(self, &limit, &after_id);
    if (self->routes->errors.count > 0) {
        routes_answer_errors(self);
        return;
    }
    struct resv_op *op = routes_take_catalog(self, RESV_OP_CONCERT_LIST);
    if (op == NULL)
        return;
    op->catalog->limit = limit;
    op->catalog->after_id = after_id;
    routes_submit(self, op, list_done);
}
