/* Redis takes the seats: one call of reserve.lua for all that came for a concert in one turn, and
 * undo.lua for what must go back.
 *
 *   stock_take --> [concert's vector] --flush point--> call (vector_max of it) --> answers
 *                         '--(VECTOR_CALLS_MAX under way)-->  waits for one to end
 *   stock_undo --> [to undo] ----------flush point--> call (one) --> answer
 *
 * Invariants: every operation that came in is told of exactly once, unless it was taken back while
 * it waited; what is told as STOCK_DOWN was not executed and never will be: the script's checks
 * come before its first write. The event's text stays as it was first written: a call whose answer
 * was lost may yet be executed with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async.h"
#include "common/concerts.h"
#include "resvd/assert.h"
#include "resvd/crash_point.h"
#include "resvd/fault.h"
#include "scripts.h"

enum {
    CALLS_MAX = 512,
    /* Calls of one concert that may be under way unless the next one is full, too. What comes
     * meanwhile shares the next one: a call by itself costs Redis as much as ten reservations in
     * it. Two, so that Redis need not wait for who reads its answer to the first. */
    VECTOR_CALLS_MAX = 2,
    HEAD_ARGUMENTS = 6,
    ARGUMENTS_EACH = 4,
    NUMBER_SIZE = 24,
    EVENT_HEAD_SIZE = 47, /* "1 reserve ", the id, a blank */
};

/* A concert for which something waits or is under way; in line: there may be a call for it. */
struct vector {
    struct concert_entry entry; /* its users are the calls under way */
    struct async_list ops;
};

struct stock_call {
    struct redis_call call;
    struct async *async;
    struct vector *vector; /* NULL: an undo's */
    struct async_list ops;
    struct stock_call *next_free;
};

struct stock {
    struct concerts vectors;
    struct async_list undoing;
    struct stock_call *calls;
    struct stock_call *free_call;
    size_t vector_max;
    struct resv_deferred flush;
    uint64_t refused_ns; /* when it was last told in the log */
    /* Of the call that is being made. */
    struct async_keys keys;
    struct redis_text arguments[HEAD_ARGUMENTS + ARGUMENTS_EACH * ASYNC_VECTOR_MAX];
};

/* --- what waits, concert by concert -------------------------------------------------------------
 */

static struct vector *vector_at(const struct stock *stock, size_t index)
{
    return (struct vector *)concerts_at(&stock->vectors, index);
}

static bool may_call(const struct stock *stock, const struct vector *vector)
{
    return vector->ops.count >= stock->vector_max ||
           (vector->ops.count > 0 && vector->entry.users < VECTOR_CALLS_MAX);
}

/* Something has come, or a call has ended: it gets in line if there may be one, and is given back
 * if nothing is left. */
static void look_after(struct stock *stock, struct vector *vector)
{
    if (may_call(stock, vector))
        concerts_set_ready(&stock->vectors, &vector->entry);
    else
        concerts_let_go(&stock->vectors, &vector->entry);
}

/* --- calls --------------------------------------------------------------------------------------
 */

static struct redis_text text_of(const char *text)
{
    return (struct redis_text){.bytes = text, .size = strlen(text)};
}

/* The next field of an event's text, which closes with a blank. */
static struct redis_text field_at(const char **at)
{
    struct redis_text field = {.bytes = *at, .size = strcspn(*at, " ")};
    *at += field.size + 1;
    return field;
}

/* Concert, member and quantity as they stand in the event. */
static void fields_of(const struct async_op *state, struct redis_text fields[3])
{
    const char *at = state->text + EVENT_HEAD_SIZE;
    for (size_t i = 0; i < 3; i++)
        fields[i] = field_at(&at);
}

static struct redis_text id_of(const struct resv_op *op)
{
    return (struct redis_text){.bytes = (const char *)op->id.bytes, .size = RESV_ID_SIZE};
}

static void run(struct async *async, struct stock_call *call, const struct redis_script *script,
                size_t arguments_count, void (*done)(struct redis_call *call))
{
    struct stock *stock = async->stock;
    keys_of_concert(&stock->keys, redis_link_key_prefix(async->redis), call->ops.first->concert_id);
    call->call = (struct redis_call){
        .script = script,
        .keys = stock->keys.keys,
        .keys_count = KEY_COUNT,
        .arguments = stock->arguments,
        .arguments_count = arguments_count,
        .data = call,
        .done = done,
    };
    redis_run(async->redis, &call->call);
}

static struct stock_call *take_call(struct stock *stock, struct vector *vector)
{
    struct stock_call *call = stock->free_call;
    stock->free_call = call->next_free;
    call->ops = (struct async_list){0};
    call->vector = vector;
    if (vector != NULL)
        vector->entry.users++;
    return call;
}

/* Its operations, which are told one by one: the call may be used again by then. */
static void free_call(struct stock_call *call, struct async_list *ops)
{
    struct stock *stock = call->async->stock;
    *ops = (struct async_list){0};
    for (struct resv_op *op; (op = async_list_take(&call->ops)) != NULL;)
        async_list_append(ops, op);
    call->next_free = stock->free_call;
    stock->free_call = call;
    if (call->vector != NULL) {
        call->vector->entry.users--;
        look_after(stock, call->vector);
    }
    if (stock->vectors.ready_first != NULL || stock->undoing.count > 0)
        resv_defer(call->async->base.host, &stock->flush);
}

/* Once a second at most. */
static void tell_refused(struct async *async, const struct redis_call *call)
{
    const uint64_t now_ns = resv_now_ns(async->base.host);
    struct redis_text said = redis_reply_text(call->reply, 0);
    char text[200];
    if (async->stock->refused_ns != 0 && now_ns - async->stock->refused_ns < 1000000000ULL)
        return;
    async->stock->refused_ns = now_ns;
    snprintf(text, sizeof text, "%.*s", (int)(said.bytes == NULL ? 0 : said.size),
             said.bytes == NULL ? "" : said.bytes);
    resv_log(async->base.host, RESV_LOG_WARNING, "redis refuses a script", "script",
             call->script->name, "said", text, NULL);
}

/* --- taking -------------------------------------------------------------------------------------
 */

static enum stock_answer answer_of(const struct redis_reply *reply, size_t index,
                                   struct redis_text *text)
{
    static const enum stock_answer answers[] = {
        [1] = STOCK_TAKEN,   [2] = STOCK_SOLD_OUT,  [3] = STOCK_LIMIT,
        [4] = STOCK_SETTLED, [5] = STOCK_ELSEWHERE, [6] = STOCK_UNSURE,
    };
    *text = redis_reply_text(reply, index);
    if (text->bytes != NULL)
        return STOCK_PENDING;
    int64_t code = redis_reply_integer(reply, index);
    return code >= 1 && code <= 6 ? answers[code] : STOCK_LOST;
}

/* What holds for all of them; STOCK_TAKEN: each has its own answer, or all are taken. */
static enum stock_answer answer_of_all(struct async *async, const struct redis_call *call,
                                       size_t count)
{
    switch (call->result) {
    case REDIS_DONE:
        break;
    case REDIS_REFUSED:
        tell_refused(async, call);
        return STOCK_DOWN;
    case REDIS_DOWN:
        return STOCK_DOWN;
    case REDIS_LOST:
        return STOCK_LOST;
    }
    switch (redis_reply_integer(call->reply, 0)) {
    case 0:
        return STOCK_CLOSED;
    case 1:
        return redis_reply_count(call->reply) == count + 1 ? STOCK_TAKEN : STOCK_LOST;
    case 2: {
        const int64_t epoch = redis_reply_integer(call->reply, 1);
        if (epoch <= async->epoch)
            return STOCK_CLOSED; /* the gate is from before a reset */
        async_learn_epoch(async, epoch);
        return STOCK_EPOCH;
    }
    case 3: {
        const struct redis_text token = redis_reply_text(call->reply, 1);
        if (token.bytes == NULL || token.size > ASYNC_TOKEN_SIZE_MAX)
            return STOCK_DOWN; /* written by something else than this */
        async_learn_token(async, token);
        return STOCK_LOOK;
    }
    case 4:
        return STOCK_TAKEN;
    default:
        return STOCK_LOST; /* not what the script returns */
    }
}

static void taken(struct redis_call *redis_call)
{
    struct stock_call *call = redis_call->data;
    struct async *async = call->async;
    const struct redis_reply *reply = redis_call->reply;
    const enum stock_answer of_all = answer_of_all(async, redis_call, call->ops.count);
    const bool each = of_all == STOCK_TAKEN && redis_reply_integer(reply, 0) == 1;
    struct async_list ops;
    free_call(call, &ops);
    size_t index = 1;
    for (struct resv_op *op; (op = async_list_take(&ops)) != NULL; index++) {
        struct redis_text text = {0};
        enum stock_answer answer = of_all;
        if (each)
            answer = answer_of(reply, index, &text);
        front_stock_said(async, op, answer, text);
    }
}

/* The end of a number's text. */
static size_t put_number(char text[NUMBER_SIZE], int64_t number)
{
    return (size_t)(event_put_number(text, number) - text);
}

/* Of all whose ids and events are there, in their order. */
static size_t add_members(struct stock *stock, const struct stock_call *call, size_t count)
{
    for (const struct resv_op *op = call->ops.first; op != NULL; op = async_op_of(op)->next) {
        struct redis_text fields[3];
        fields_of(async_op_of(op), fields);
        stock->arguments[2] = fields[0]; /* the concert: the same in all */
        stock->arguments[count++] = fields[1];
        stock->arguments[count++] = fields[2];
    }
    return count;
}

/* The next one whose event is of this epoch. One that was written before a reset was heard of is
 * void: its seats must not be taken from what came behind that. */
static struct resv_op *take_op(struct async *async, struct vector *vector, int64_t epoch)
{
    struct resv_op *op;
    while ((op = async_list_take(&vector->ops)) != NULL && async_op_of(op)->epoch != epoch)
        front_stock_said(async, op, STOCK_EPOCH, (struct redis_text){0});
    return op;
}

static void run_vector(struct async *async, struct vector *vector)
{
    struct stock *stock = async->stock;
    const int64_t epoch = async->epoch;
    struct resv_op *op = take_op(async, vector, epoch);
    if (op == NULL)
        return;
    struct stock_call *call = take_call(stock, vector);
    char epoch_text[NUMBER_SIZE], seats_text[NUMBER_SIZE], keyed_text[NUMBER_SIZE];
    size_t count = HEAD_ARGUMENTS;
    int64_t seats = 0, keyed = 0;
    for (; op != NULL;
         op = call->ops.count < stock->vector_max ? take_op(async, vector, epoch) : NULL) {
        const struct async_op *state = async_op_of(op);
        front_move(op, ASYNC_TAKING);
        async_list_append(&call->ops, op);
        seats += op->quantity; /* ASYNC_VECTOR_MAX of RESV_INTEGER_MAX are below 2^63 */
        keyed += op->keyed ? 1 : 0;
        stock->arguments[count++] = id_of(op);
        stock->arguments[count++] =
            (struct redis_text){.bytes = state->text, .size = state->text_size};
    }
    count = add_members(stock, call, count);
    stock->arguments[0] = text_of(redis_link_run_id(async->redis, 0));
    stock->arguments[1] =
        (struct redis_text){.bytes = epoch_text, .size = put_number(epoch_text, epoch)};
    stock->arguments[3] = (struct redis_text){.bytes = async->token, .size = async->token_size};
    stock->arguments[4] =
        (struct redis_text){.bytes = seats_text, .size = put_number(seats_text, seats)};
    stock->arguments[5] =
        (struct redis_text){.bytes = keyed_text, .size = put_number(keyed_text, keyed)};
    resv_metric_observe(async->base.host, &async_metrics, METRIC_TAKEN_PER_CALL, call->ops.count);
    run(async, call, &async_reserve, count, taken);
}

/* --- undoing ------------------------------------------------------------------------------------
 */

static void undone(struct redis_call *redis_call)
{
    struct stock_call *call = redis_call->data;
    struct async *async = call->async;
    const bool is_undone =
        redis_call->result == REDIS_DONE && redis_reply_integer(redis_call->reply, 0) == 1;
    if (redis_call->result == REDIS_REFUSED)
        tell_refused(async, redis_call);
    struct async_list ops;
    free_call(call, &ops);
    front_undone(async, async_list_take(&ops), is_undone);
}

static void run_undo(struct async *async, struct resv_op *op)
{
    struct stock *stock = async->stock;
    const struct async_op *state = async_op_of(op);
    struct stock_call *call = take_call(stock, NULL);
    struct redis_text fields[3];
    async_list_append(&call->ops, op);
    fields_of(state, fields);
    stock->arguments[0] = text_of(redis_link_run_id(async->redis, 0));
    stock->arguments[1] = id_of(op);
    stock->arguments[2] = (struct redis_text){.bytes = state->text, .size = state->text_size};
    stock->arguments[3] = fields[1];
    stock->arguments[4] = fields[2];
    if (RESV_FAULT(undo_gives_back_twice))
        stock->arguments[4] = text_of("2");
    char marked[EVENT_SIZE_MAX + 1];
    if (RESV_FAULT(undo_what_is_shared)) {
        memcpy(marked, state->text, state->text_size);
        marked[state->text_size] = KEYS_MARK;
        stock->arguments[2] = (struct redis_text){.bytes = marked, .size = state->text_size + 1};
    }
    run(async, call, &async_undo, 5, undone);
}

/* --- what comes in ------------------------------------------------------------------------------
 */

static void flush(struct resv_deferred *deferred)
{
    struct async *async = deferred->data;
    struct stock *stock = async->stock;
    while (stock->free_call != NULL && stock->undoing.count > 0)
        run_undo(async, async_list_take(&stock->undoing));
    /* Without a free call it goes on when one is done. */
    while (stock->free_call != NULL && stock->vectors.ready_first != NULL) {
        struct vector *vector = (struct vector *)concerts_take_ready(&stock->vectors);
        while (stock->free_call != NULL && may_call(stock, vector))
            run_vector(async, vector);
        look_after(stock, vector);
    }
}

void stock_take(struct async *async, struct resv_op *op)
{
    struct stock *stock = async->stock;
    struct vector *vector = (struct vector *)concerts_find(&stock->vectors, op->concert_id);
    front_move(op, ASYNC_WAITING);
    if (vector == NULL) {
        front_stock_said(async, op, STOCK_DOWN, (struct redis_text){0});
        return;
    }
    async_list_append(&vector->ops, op);
    look_after(stock, vector);
    if (vector->entry.ready)
        resv_defer(async->base.host, &stock->flush);
}

void stock_undo(struct async *async, struct resv_op *op)
{
    RESV_CRASH_POINT(undoing);
    async_list_append(&async->stock->undoing, op);
    resv_defer(async->base.host, &async->stock->flush);
}

/* Its vector goes at the flush point, or with its last call, if that was all. */
bool stock_cancel(struct async *async, struct resv_op *op)
{
    (void)async;
    if (async_op_of(op)->place != ASYNC_WAITING)
        return false;
    async_list_remove(op);
    return true;
}

void stock_refuse_all(struct async *async)
{
    for (size_t i = 0; i < async->stock->vectors.entries_count; i++) {
        struct vector *vector = vector_at(async->stock, i);
        for (struct resv_op *op; (op = async_list_take(&vector->ops)) != NULL;)
            front_stock_said(async, op, STOCK_DOWN, (struct redis_text){0});
    }
}

/* Those without a key keep their order, though others have gone from between them. */
void stock_look_again(struct async *async)
{
    for (size_t i = 0; i < async->stock->vectors.entries_count; i++) {
        struct vector *vector = vector_at(async->stock, i);
        for (size_t left = vector->ops.count; left > 0; left--) {
            struct resv_op *op = async_list_take(&vector->ops);
            if (op->keyed)
                front_stock_said(async, op, STOCK_LOOK, (struct redis_text){0});
            else
                async_list_append(&vector->ops, op);
        }
    }
}

/* --- life ---------------------------------------------------------------------------------------
 */

bool stock_open(struct async *async)
{
    struct stock *stock = async->stock = calloc(1, sizeof *stock);
    const size_t concerts =
        (size_t)resv_option_integer(async->base.host, &async_options, OPTION_CONCERTS_MAX);
    if (stock == NULL)
        return false;
    stock->vector_max =
        (size_t)resv_option_integer(async->base.host, &async_options, OPTION_VECTOR_MAX);
    stock->flush = (struct resv_deferred){.run = flush, .data = async};
    stock->calls = calloc(CALLS_MAX, sizeof *stock->calls);
    if (!concerts_open(&stock->vectors, concerts, sizeof(struct vector)) || stock->calls == NULL)
        return false;
    for (size_t i = CALLS_MAX; i-- > 0;) {
        stock->calls[i].async = async;
        stock->calls[i].next_free = stock->free_call;
        stock->free_call = &stock->calls[i];
    }
    return true;
}

void stock_close(struct async *async)
{
    struct stock *stock = async->stock;
    if (stock == NULL)
        return;
    resv_defer_cancel(async->base.host, &stock->flush);
    concerts_close(&stock->vectors);
    free(stock->calls);
    free(stock);
    async->stock = NULL;
}
