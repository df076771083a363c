/* Dead letters: events that could not be applied, listed in pages, and sent again one by one.
 *
 * They belong to asynchronous strategies; the router has refused this for all others.
 */
#include <stdio.h>
#include <string.h>

#include "append.h"
#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/query.h"
#include "routes/routes_state.h"
#include "json/json_build.h"

#define CURSOR_ERROR "must be a nextCursor that this server gave"

/* A cursor is "d1." and the id of the last letter of the page. */
#define CURSOR_PREFIX    "d1."
#define CURSOR_BYTES_MAX (sizeof(CURSOR_PREFIX) - 1 + RESV_DEAD_LETTER_ID_BYTES_MAX)

static bool is_number(struct text text)
{
    int64_t number;
    return text_equal(text, TEXT("0")) || routes_parse_number(text, &number);
}

/* Copies what has the form of an id: two numbers with a hyphen between them. */
static bool parse_id(struct text text, char id[RESV_DEAD_LETTER_ID_BYTES_MAX + 1])
{
    const char *hyphen = text.size > 0 ? memchr(text.data, '-', text.size) : NULL;
    if (hyphen == NULL || text.size > RESV_DEAD_LETTER_ID_BYTES_MAX)
        return false;
    struct text partition = {text.data, (size_t)(hyphen - text.data)};
    struct text offset = {hyphen + 1, text.size - partition.size - 1};
    if (!is_number(partition) || !is_number(offset))
        return false;
    memcpy(id, text.data, text.size);
    id[text.size] = '\0';
    return true;
}

/* --- the list -------------------------------------------------------------------------------- */

static cJSON *concert_id_json(int64_t concert_id)
{
    return concert_id == 0 ? cJSON_CreateNull() : json_build_integer(concert_id);
}

static cJSON *letter_json(const struct resv_dead_letter *letter)
{
    cJSON *item = cJSON_CreateObject();
    bool good = json_build_add(item, "id", cJSON_CreateString(letter->id)) &&
                json_build_add(item, "concertId", concert_id_json(letter->concert_id)) &&
                json_build_add(item, "failedAt", json_build_time(letter->failed_at_ms)) &&
                json_build_add(item, "reason", cJSON_CreateString(letter->reason)) &&
                json_build_add(item, "event", cJSON_CreateString(letter->event));
    return json_when_good(item, good);
}

static cJSON *letters_json(const struct resv_dead_letter *letters, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    bool good = array != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = json_build_add(array, NULL, letter_json(&letters[i]));
    return json_when_good(array, good);
}

static cJSON *next_cursor(const struct resv_catalog_request *list)
{
    if (!list->more || list->letter_count == 0)
        return cJSON_CreateNull();
    char cursor[CURSOR_BYTES_MAX + 1];
    snprintf(cursor, sizeof(cursor), CURSOR_PREFIX "%s", list->letters[list->letter_count - 1].id);
    return cJSON_CreateString(cursor);
}

static void list_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        const struct resv_catalog_request *list = op->catalog;
        cJSON *page = cJSON_CreateObject();
        bool good = json_build_add(page, "items", letters_json(list->letters, list->letter_count));
        good = good && json_build_add(page, "nextCursor", next_cursor(list));
        answer_json(call, outcome_answers[op->outcome].status, CONTENT_JSON,
                    json_when_good(page, good));
    }
    routes_catalog_done(op);
}

static void read_cursor(const struct route_call *self,
                        char after[RESV_DEAD_LETTER_ID_BYTES_MAX + 1])
{
    const size_t prefix = sizeof(CURSOR_PREFIX) - 1;
    char buffer[CURSOR_BYTES_MAX];
    struct text value;
    enum query_result result =
        query_find(self->request->query, TEXT("cursor"), buffer, sizeof(buffer), &value);
    if (result == QUERY_ABSENT)
        return;
    if (result == QUERY_GIVEN && value.size > prefix &&
        memcmp(value.data, CURSOR_PREFIX, prefix) == 0 &&
        parse_id((struct text){value.data + prefix, value.size - prefix}, after))
        return;
    field_errors_add(&self->routes->errors, FIELD_NO_ELEMENT, TEXT("cursor"), CURSOR_ERROR);
}

void route_dead_letter_list(const struct route_call *self)
{
    int64_t limit;
    char after[RESV_DEAD_LETTER_ID_BYTES_MAX + 1] = "";
    self->routes->errors.count = 0;
    routes_read_limit(self, &limit);
    read_cursor(self, after);
    if (self->routes->errors.count > 0) {
        routes_answer_errors(self);
        return;
    }
    struct resv_op *op = routes_take_catalog(self, RESV_OP_DEAD_LETTER_LIST);
    if (op == NULL)
        return;
    op->catalog->limit = limit;
    memcpy(op->catalog->after, after, sizeof(after));
    routes_submit(self, op, list_done);
}

/* --- once more ------------------------------------------------------------------------------- */

/* 202: the event is durable in the log, its row follows. */
static void retry_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        char *body = call->answer.inline_body;
        char *at = append_literal(body, "{\"id\":\"");
        at = append_bytes(at, op->catalog->letter_id, strlen(op->catalog->letter_id));
        at = append_literal(at, "\"}");
        answer_inline(call, 202, CONTENT_JSON, (size_t)(at - body));
    }
    routes_catalog_done(op);
}

void route_dead_letter_retry(const struct route_call *self)
{
    char id[RESV_DEAD_LETTER_ID_BYTES_MAX + 1];
    if (!parse_id(self->parameter, id)) {
        answer_problem_with(self->call, PROBLEM_NOT_FOUND, "There is no dead letter with this id.",
                            NULL, NULL);
        return;
    }
    struct resv_op *op = routes_take_catalog(self, RESV_OP_DEAD_LETTER_RETRY);
    if (op == NULL)
        return;
    memcpy(op->catalog->letter_id, id, sizeof(id));
    routes_submit(self, op, retry_done);
}
