/* The scripted dispatcher and host behind the routes, and what tests expect of answers. */
#include "routes_fixture.h"

#include "routes/problems.h"

struct routes_fixture fixture;

/* --- the dispatcher -------------------------------------------------------------------------- */

bool dispatcher_accepting(const struct dispatcher *dispatcher)
{
    (void)dispatcher;
    return fixture.accepting;
}

struct resv_op *dispatcher_take(struct dispatcher *dispatcher, enum resv_op_kind kind)
{
    (void)dispatcher;
    if (!fixture.accepting || fixture.pool_empty)
        return NULL;
    fixture.taken++;
    fixture.op = (struct resv_op){.kind = kind};
    return &fixture.op;
}

void dispatcher_give_back(struct dispatcher *dispatcher, struct resv_op *op)
{
    (void)dispatcher;
    assert_ptr_equal(op, &fixture.op);
    assert_null(op->catalog);
    fixture.given_back++;
}

void dispatcher_submit(struct dispatcher *dispatcher, struct resv_op *op, void *client,
                       void (*done)(struct resv_op *op))
{
    (void)dispatcher;
    assert_ptr_equal(op, &fixture.op);
    assert_int_equal(op->state, RESV_OP_FREE);
    op->state = RESV_OP_SUBMITTED;
    op->client = client;
    op->done = done;
    fixture.submitted++;
}

void dispatcher_client_gone(struct dispatcher *dispatcher, struct resv_op *op)
{
    (void)dispatcher;
    op->client = NULL;
    fixture.clients_gone++;
}

struct resv_op *dispatcher_find_keyed(struct dispatcher *dispatcher, const struct resv_id *id)
{
    (void)dispatcher;
    (void)id;
    return fixture.keyed_under_way ? &fixture.op : NULL;
}

/* --- the host -------------------------------------------------------------------------------- */

uint64_t resv_now_ns(struct resv_host *host)
{
    (void)host;
    return fixture.now_ns += 1000;
}

int64_t resv_wall_ms(struct resv_host *host)
{
    (void)host;
    return 1795375800000;
}

void resv_random_bytes(struct resv_host *host, void *buffer, size_t size)
{
    (void)host;
    fixture.random_calls++;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buffer)[i] = (unsigned char)(i * 7 + fixture.random_calls);
}

static bool ready(void *data, const char **reason)
{
    assert_ptr_equal(data, &fixture);
    if (!fixture.ready)
        *reason = fixture.not_ready_reason;
    return fixture.ready;
}

static void components(void *data,
                       void (*each)(void *each_data, const char *component,
                                    enum resv_health_state state, uint64_t latency_ns,
                                    const char *detail),
                       void *each_data)
{
    assert_ptr_equal(data, &fixture);
    each(each_data, "sqlite", RESV_HEALTH_UP, 412345, NULL);
    each(each_data, "redis-1", RESV_HEALTH_DOWN, 0, "says \"no\"");
    each(each_data, "lock-1", RESV_HEALTH_MISSED, 0, NULL);
}

/* --- life ------------------------------------------------------------------------------------ */

static void forget_answer(void)
{
    if (fixture.call.answer.heap != NULL)
        free(fixture.call.answer.heap);
    memset(&fixture.call, 0xa5, sizeof(fixture.call)); /* calls come from a pool, as they are */
    fixture.call.answer.heap = NULL;
    fixture.call.op = NULL;
    cJSON_Delete(fixture.json);
    fixture.json = NULL;
    fixture.answered = 0;
}

static void stop(void)
{
    routes_destroy(fixture.routes);
    metrics_destroy(fixture.context.metrics);
    fixture.routes = NULL;
    fixture.context.metrics = NULL;
}

void fixture_restart(void)
{
    stop();
    fixture.context.metrics = metrics_create();
    assert_non_null(fixture.context.metrics);
    fixture.routes = routes_create(&fixture.context);
    assert_non_null(fixture.routes);
}

int fixture_setup(void **state)
{
    (void)state;
    fixture = (struct routes_fixture){.accepting = true, .ready = true};
    fixture.strategy = (struct resv_strategy){.name = "scripted"};
    fixture.context = (struct routes_context){
        .strategy = &fixture.strategy,
        .ready = ready,
        .components = components,
        .data = &fixture,
    };
    fixture_restart();
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    forget_answer();
    stop();
    return 0;
}

/* --- requests -------------------------------------------------------------------------------- */

static struct text text_of(const char *text)
{
    return (struct text){text, text != NULL ? strlen(text) : 0};
}

struct call_request fixture_request(enum http_method method, const char *target, const char *body)
{
    const char *question = strchr(target, '?');
    struct call_request request = {
        .listener = strncmp(target, "/api/", 5) == 0 ? LISTENER_API : LISTENER_ADMIN,
        .method = method,
        .path = text_of(target),
        .body = text_of(body),
    };
    if (question != NULL) {
        request.path.size = (size_t)(question - target);
        request.query = text_of(question + 1);
    }
    if (body != NULL)
        request.content_type = text_of("application/json");
    return request;
}

static void answered(struct call *call)
{
    assert_ptr_equal(call, &fixture.call);
    fixture.answered++;
    const struct answer *answer = &call->answer;
    if (answer->body_size == 0)
        return;
    assert_non_null(answer->body);
    if (answer->content_type == CONTENT_JSON || answer->content_type == CONTENT_PROBLEM ||
        answer->content_type == CONTENT_OPENAPI) {
        fixture.json = cJSON_ParseWithLength(answer->body, answer->body_size);
        assert_non_null(fixture.json);
    }
}

static struct text exact_copy(struct text text)
{
    if (text.data == NULL)
        return text;
    char *copy = malloc(text.size + (text.size == 0));
    assert_non_null(copy);
    memcpy(copy, text.data, text.size);
    return (struct text){copy, text.size};
}

static void free_copy(struct text text)
{
    free((void *)(uintptr_t)text.data);
}

void fixture_send_request(const struct call_request *request)
{
    struct call_request copy = *request;
    struct text *texts[] = {&copy.path,           &copy.query,         &copy.body,
                            &copy.content_type,   &copy.authorization, &copy.content_encoding,
                            &copy.idempotency_key};
    forget_answer();
    fixture.call.answered = answered;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = exact_copy(*texts[i]);
    routes_dispatch(fixture.routes, &fixture.call, &copy);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free_copy(*texts[i]);
    assert_true(fixture.answered <= 1);
    assert_true((fixture.answered == 0) == (fixture.call.op != NULL));
}

void fixture_send(enum http_method method, const char *target, const char *body)
{
    struct call_request request = fixture_request(method, target, body);
    fixture_send_request(&request);
}

void fixture_complete(enum resv_outcome outcome)
{
    assert_int_equal(fixture.op.state, RESV_OP_SUBMITTED);
    fixture.op.state = RESV_OP_DONE;
    fixture.op.outcome = outcome;
    fixture.op.done(&fixture.op);
    assert_null(fixture.op.catalog);
    fixture.op.state = RESV_OP_FREE;
}

/* --- what is expected of answers ------------------------------------------------------------- */

void expect_status(unsigned status, enum content_type type)
{
    assert_int_equal(fixture.answered, 1);
    assert_int_equal(fixture.call.answer.status, status);
    assert_int_equal(fixture.call.answer.content_type, type);
    assert_null(fixture.call.op);
}

void expect_no_body(unsigned status)
{
    assert_int_equal(fixture.answered, 1);
    assert_int_equal(fixture.call.answer.status, status);
    assert_int_equal(fixture.call.answer.body_size, 0);
}

void expect_body(const char *text)
{
    const struct answer *answer = &fixture.call.answer;
    if (answer->body_size != strlen(text) || memcmp(answer->body, text, answer->body_size) != 0)
        fail_msg("got %.*s\nnot %s", (int)answer->body_size, answer->body, text);
}

const char *json_text(const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(fixture.json, name);
    if (!cJSON_IsString(item))
        fail_msg("no text %s", name);
    return item->valuestring;
}

double json_number(const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(fixture.json, name);
    if (!cJSON_IsNumber(item))
        fail_msg("no number %s", name);
    return item->valuedouble;
}

void expect_problem(unsigned status, const char *slug)
{
    expect_status(status, CONTENT_PROBLEM);
    char type[128] = "/problems/";
    strcat(type, slug);
    assert_string_equal(json_text("type"), type);
    assert_true(strlen(json_text("title")) > 0);
    assert_true(strlen(json_text("detail")) > 0);
    assert_int_equal((int)json_number("status"), status);
    assert_true(problem_find((struct text){slug, strlen(slug)}) < PROBLEM_COUNT);
    assert_true(
        (fixture.call.answer.retry_after_s > 0) ==
        (status == 503 || strcmp(slug, "contended") == 0 || strcmp(slug, "in-progress") == 0));
    assert_true(fixture.call.answer.www_authenticate == (status == 401));
    assert_true((fixture.call.answer.allow != 0) == (status == 405));
    assert_true((cJSON_GetObjectItemCaseSensitive(fixture.json, "errors") != NULL) ==
                (status == 422));
}

void expect_fields(const char *fields)
{
    expect_problem(422, "invalid-fields");
    char found[1024] = "";
    const cJSON *error;
    cJSON_ArrayForEach(error, cJSON_GetObjectItemCaseSensitive(fixture.json, "errors"))
    {
        const char *field = cJSON_GetObjectItemCaseSensitive(error, "field")->valuestring;
        const char *detail = cJSON_GetObjectItemCaseSensitive(error, "detail")->valuestring;
        assert_true(strlen(detail) > 0);
        assert_true(strlen(found) + strlen(field) + 2 < sizeof(found));
        if (found[0] != '\0')
            strcat(found, " ");
        strcat(found, field);
    }
    assert_string_equal(found, fields);
}
