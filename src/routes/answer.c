/* Giving answers. */
#include "routes/answer.h"

#include "resvd/assert.h"
#include "routes/request_metrics.h"
#include "routes/routes_state.h"
#include "uuid.h"
#include "json/json_build.h"

void answer_start(struct call *call)
{
    struct answer *answer = &call->answer;
    answer->status = 0;
    answer->has_location = false;
    answer->replay = false;
    answer->www_authenticate = false;
    answer->retry_after_s = 0;
    answer->allow = 0;
    answer->body = NULL;
    answer->body_size = 0;
    answer->heap = NULL;
}

static void finish(struct call *call)
{
    request_metrics_count(call);
    call->answered(call);
}

void answer_empty(struct call *call, uint16_t status)
{
    call->answer.status = status;
    finish(call);
}

void answer_static(struct call *call, uint16_t status, enum content_type type, struct text body)
{
    call->answer.status = status;
    call->answer.content_type = type;
    call->answer.body = body.data;
    call->answer.body_size = body.size;
    finish(call);
}

void answer_inline(struct call *call, uint16_t status, enum content_type type, size_t size)
{
    RESV_ASSERT(size <= sizeof(call->answer.inline_body));
    answer_static(call, status, type, (struct text){call->answer.inline_body, size});
}

void answer_heap(struct call *call, uint16_t status, enum content_type type, char *heap,
                 size_t size)
{
    if (heap == NULL) {
        answer_problem(call, PROBLEM_UNAVAILABLE);
        return;
    }
    call->answer.heap = heap;
    answer_static(call, status, type, (struct text){heap, size});
}

void answer_json(struct call *call, uint16_t status, enum content_type type, cJSON *item)
{
    size_t size = 0;
    char *text = json_build_print(item, &size);
    answer_heap(call, status, type, text, size);
}

/* What the headers say about a problem follows from the problem. */
static void set_headers(struct call *call, enum problem problem)
{
    call->answer.retry_after_s = problems[problem].retry_after_s;
    if (problem == PROBLEM_UNAUTHORIZED)
        call->answer.www_authenticate = true;
}

static bool is_study(const struct call *call)
{
    return call->routes != NULL && call->routes->context.study_api;
}

void answer_problem(struct call *call, enum problem problem)
{
    set_headers(call, problem);
    answer_static(call, problems[problem].status, CONTENT_PROBLEM,
                  is_study(call) ? problems[problem].study_body : problems[problem].body);
}

static bool add_string(cJSON *object, const char *name, const char *value)
{
    return json_build_add(object, name, cJSON_CreateString(value));
}

static bool add_members(struct call *call, cJSON *object, enum problem problem, const char *detail,
                        const struct resv_id *id)
{
    const struct problem_entry *entry = &problems[problem];
    char type[sizeof("/problems/") + 64] = "/problems/";
    RESV_ASSERT(entry->slug.size <= 64);
    memcpy(type + sizeof("/problems/") - 1, entry->slug.data, entry->slug.size + 1);
    bool good = add_string(object, "type", type);
    good = good && add_string(object, "title", entry->title.data);
    good = good && json_build_add(object, "status", json_build_integer(entry->status));
    good = good && add_string(object, "detail", detail);
    if (id != NULL) {
        char text[UUID_TEXT_BYTES + 1] = "";
        uuid_format(id, text);
        good = good && add_string(object, "id", text);
    }
    if (is_study(call))
        good = good && add_string(object, "error", entry->slug.data) &&
               add_string(object, "message", detail);
    return good;
}

void answer_problem_with(struct call *call, enum problem problem, const char *detail,
                         const struct resv_id *id, cJSON *errors)
{
    if (detail == NULL)
        detail = problems[problem].detail.data;
    cJSON *object = cJSON_CreateObject();
    bool good = object != NULL && add_members(call, object, problem, detail, id);
    if (errors != NULL)
        good = json_build_add(object, "errors", errors) && good;
    size_t size = 0;
    char *text = good ? json_build_print(object, &size) : NULL;
    if (!good)
        cJSON_Delete(object);
    if (text == NULL) { /* out of memory: the status is still the right one */
        answer_problem(call, problem);
        return;
    }
    set_headers(call, problem);
    answer_heap(call, problems[problem].status, CONTENT_PROBLEM, text, size);
}

void routes_answer_problem(struct call *call, const char *slug, const char *detail)
{
    enum problem problem = problem_find((struct text){slug, strlen(slug)});
    RESV_ASSERT(problem < PROBLEM_COUNT);
    call->routes = NULL;
    call->op = NULL;
    answer_start(call);
    if (detail == NULL)
        answer_problem(call, problem);
    else
        answer_problem_with(call, problem, detail, NULL, NULL);
}
