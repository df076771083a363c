/* What happens to operations: group commit, answers from committed facts, checks by the reader.
 *
 * Group commit: while the writer commits one batch, what arrives queues up and is the next one. */
#include "embedded.h"
#include "resvd/assert.h"

/* --- what to do with a reservation or release ------------------------------------------------- */

enum decision { DECIDE_BY_WRITER, DECIDE_BY_CHECK, DECIDE_SOLD_OUT };

/* Only what is committed is said; a release under way may change it, and the next batch knows. */
static const struct concert_fact *sold_out_fact(const struct embedded *embedded,
                                                const struct resv_op *op)
{
    if (op->kind != RESV_OP_RESERVE || embedded->releases > 0)
        return NULL;
    const struct concert_fact *fact = facts_find_concert(&embedded->facts, op->concert_id);
    return fact != NULL && fact->remaining < op->quantity ? fact : NULL;
}

static enum decision decide(const struct embedded *embedded, const struct resv_op *op)
{
    if (embedded_op_of(op)->only_writer || sold_out_fact(embedded, op) == NULL)
        return DECIDE_BY_WRITER;
    if (op->keyed || !facts_know_member(&embedded->facts, op->member_id))
        return DECIDE_BY_CHECK;
    return DECIDE_SOLD_OUT;
}

static void say_sold_out(struct embedded *embedded, struct resv_op *op)
{
    resv_metric_add(embedded->host, &embedded_metrics, METRIC_SOLD_OUT_FAST, 1);
    embedded_complete(embedded, op, RESV_SOLD_OUT);
}

/* --- to the writer ---------------------------------------------------------------------------- */

static void fill_item(struct sqlite_item *item, struct resv_op *op)
{
    RESV_ASSERT(op->kind == RESV_OP_RESERVE || op->kind == RESV_OP_RELEASE);
    item->kind = op->kind == RESV_OP_RESERVE ? SQLITE_ITEM_RESERVE : SQLITE_ITEM_RELEASE;
    item->keyed = op->keyed;
    item->id = op->id;
    item->concert_id = op->concert_id;
    item->member_id = op->member_id;
    item->quantity = op->quantity;
    item->user = op;
}

static struct sqlite_batch *free_batch(struct embedded *embedded, size_t *index)
{
    for (size_t i = 0; i < BATCHES; i++) {
        if (!embedded->batch_in_use[i]) {
            *index = i;
            return &embedded->batches[i];
        }
    }
    return NULL;
}

/* Completing may bring new operations, but only to `arrived`: the loop ends. */
static void feed_writer(struct embedded *embedded)
{
    size_t index;
    if (embedded->writer_has_batch || embedded->queue.count == 0)
        return;
    struct sqlite_batch *batch = free_batch(embedded, &index);
    if (batch == NULL)
        return;
    embedded->batch_in_use[index] = true;
    batch->count = 0;
    while (embedded->queue.first != NULL && batch->count < embedded->batch_max) {
        struct resv_op *op = embedded->queue.first;
        switch (decide(embedded, op)) {
        case DECIDE_BY_WRITER:
            fill_item(&batch->items[batch->count++], op);
            embedded_move(embedded, op, PLACE_WRITER);
            break;
        case DECIDE_BY_CHECK:
            embedded_move(embedded, op, PLACE_CHECKS);
            break;
        case DECIDE_SOLD_OUT:
            say_sold_out(embedded, op);
            break;
        }
    }
    if (batch->count == 0) {
        embedded->batch_in_use[index] = false;
        return;
    }
    embedded->writer_has_batch = true;
    batch->wall_ms = resv_wall_ms(embedded->host);
    resv_metric_observe(embedded->host, &embedded_metrics, METRIC_BATCH_OPERATIONS, batch->count);
    sqlite_link_apply(embedded->link, batch);
}

/* --- to the reader ---------------------------------------------------------------------------- */

static void fill_lookup(struct embedded *embedded, struct sqlite_lookup *item, struct resv_op *op)
{
    *item = (struct sqlite_lookup){.id = op->id, .user = op};
    if (op->kind == RESV_OP_LOOKUP) {
        item->want_reservation = true;
        return;
    }
    RESV_ASSERT(op->kind == RESV_OP_RESERVE);
    item->want_reservation = op->keyed;
    item->member_id = op->member_id;
    const struct concert_fact *fact = facts_find_concert(&embedded->facts, op->concert_id);
    embedded_op_of(op)->fact_version = fact != NULL ? fact->version : 0;
    resv_metric_add(embedded->host, &embedded_metrics, METRIC_CHECKS, 1);
}

static void feed_reader(struct embedded *embedded)
{
    for (size_t i = 0; i < LOOKUPS && embedded->checks.count > 0; i++) {
        if (embedded->lookups_in_use[i])
            continue;
        struct sqlite_lookups *lookups = &embedded->lookups[i];
        lookups->count = 0;
        while (embedded->checks.first != NULL && lookups->count < LOOKUPS_MAX) {
            struct resv_op *op = embedded->checks.first;
            fill_lookup(embedded, &lookups->items[lookups->count++], op);
            embedded_move(embedded, op, PLACE_READER);
        }
        embedded->lookups_in_use[i] = true;
        embedded->lookups_epoch[i] = embedded->epoch;
        sqlite_link_look_up(embedded->link, lookups);
    }
}

/* --- the flush point -------------------------------------------------------------------------- */

/* Sorts what has arrived, as much of it as was there when the call began. */
static void take_arrived(struct embedded *embedded)
{
    for (size_t left = embedded->arrived.count; left > 0 && embedded->arrived.first; left--) {
        struct resv_op *op = embedded->arrived.first;
        switch (decide(embedded, op)) {
        case DECIDE_BY_WRITER:
            embedded_move(embedded, op, PLACE_QUEUE);
            break;
        case DECIDE_BY_CHECK:
            embedded_move(embedded, op, PLACE_CHECKS);
            break;
        case DECIDE_SOLD_OUT:
            say_sold_out(embedded, op);
            break;
        }
    }
}

static void complete_all(struct embedded *embedded, struct op_list *list, enum resv_outcome outcome)
{
    for (size_t left = list->count; left > 0 && list->first != NULL; left--)
        embedded_complete(embedded, list->first, outcome);
}

static void give_answers(struct embedded *embedded)
{
    for (size_t left = embedded->answers.count; left > 0 && embedded->answers.first; left--) {
        struct resv_op *op = embedded->answers.first;
        embedded_complete(embedded, op, embedded_op_of(op)->answer);
    }
}

static void go_on(struct embedded *embedded)
{
    if (embedded->closing)
        return;
    if (sqlite_link_writable(embedded->link)) {
        take_arrived(embedded);
        feed_writer(embedded);
    } else {
        complete_all(embedded, &embedded->arrived, RESV_UNAVAILABLE);
        complete_all(embedded, &embedded->queue, RESV_UNAVAILABLE);
    }
    feed_reader(embedded);
}

bool embedded_idle(const struct embedded *embedded)
{
    bool lookups_under_way = false;
    for (size_t i = 0; i < LOOKUPS; i++)
        lookups_under_way = lookups_under_way || embedded->lookups_in_use[i];
    return embedded_waiting(embedded) == 0 && embedded->answers.count == 0 &&
           !embedded->writer_has_batch && !lookups_under_way &&
           sqlite_link_catalog_under_way(embedded->link) == 0;
}

void embedded_schedule(struct embedded *embedded)
{
    if (!embedded->closing)
        resv_defer(embedded->host, &embedded->flush);
}

void embedded_flush(struct resv_deferred *deferred)
{
    struct embedded *embedded = deferred->data;
    give_answers(embedded);
    go_on(embedded);
    resv_metric_set(embedded->host, &embedded_metrics, METRIC_QUEUED_OPERATIONS,
                    (int64_t)embedded_waiting(embedded));
    if (embedded->was_busy && embedded_waiting(embedded) < embedded->queue_max) {
        embedded->was_busy = false;
        resv_host_ready_for_more(embedded->host);
    }
    if (embedded->draining && !embedded->drained && embedded_idle(embedded)) {
        embedded->drained = true;
        resv_timer_stop(embedded->host, &embedded->drain_timer);
        resv_host_drained(embedded->host);
    }
}

/* --- back from the writer --------------------------------------------------------------------- */

static void learn_from_batch(struct embedded *embedded, const struct sqlite_batch *batch)
{
    if (!batch->committed) {
        facts_drop_concerts(&embedded->facts);
        return;
    }
    for (size_t i = 0; i < batch->concerts_count; i++)
        facts_put_concert(&embedded->facts, batch->concerts[i].concert_id,
                          batch->concerts[i].remaining);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->items[i].outcome == RESV_GRANTED)
            facts_put_member(&embedded->facts, batch->items[i].member_id);
    }
}

/* Releases in the batch have changed the facts, if anything: they are no longer under way. */
static void settle_releases(struct embedded *embedded, const struct sqlite_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct resv_op *op = batch->items[i].user;
        if (op != NULL && op->kind == RESV_OP_RELEASE)
            embedded_move(embedded, op, PLACE_ELSEWHERE);
    }
}

void embedded_batch_done(struct sqlite_batch *batch)
{
    struct embedded *embedded = batch->data;
    resv_metric_observe(embedded->host, &embedded_metrics, METRIC_COMMIT_SECONDS, batch->commit_ns);
    embedded->writer_has_batch = false;
    learn_from_batch(embedded, batch);
    settle_releases(embedded, batch);
    /* The writer has its next batch before this one's answers are given. */
    go_on(embedded);
    for (size_t i = 0; i < batch->count; i++) {
        const struct sqlite_item *item = &batch->items[i];
        struct resv_op *op = item->user;
        if (op == NULL)
            continue; /* abandoned by a drain whose deadline had come */
        if (item->outcome == RESV_GRANTED)
            op->reservation = item->reservation;
        if (embedded_op_of(op)->place != PLACE_ELSEWHERE)
            embedded_move(embedded, op, PLACE_ELSEWHERE);
        resv_op_complete(embedded->host, op, item->outcome);
    }
    embedded->batch_in_use[batch - embedded->batches] = false;
    embedded_schedule(embedded);
}

/* --- back from the reader --------------------------------------------------------------------- */

static void finish_lookup(struct embedded *embedded, struct resv_op *op,
                          const struct sqlite_lookup *item)
{
    enum resv_outcome outcome = RESV_NOT_FOUND;
    if (embedded_op_of(op)->cancelled) {
        outcome = RESV_CANCELLED;
    } else if (item->failed) {
        outcome = RESV_UNAVAILABLE;
    } else if (item->found) {
        op->reservation = item->reservation;
        outcome = RESV_FOUND;
    }
    embedded_complete(embedded, op, outcome);
}

/* The reservation did not fit when the reader was asked. `current`: no reset since. */
static void finish_check(struct embedded *embedded, struct resv_op *op,
                         const struct sqlite_lookup *item, bool current)
{
    struct embedded_op *state = embedded_op_of(op);
    if (state->cancelled) {
        embedded_complete(embedded, op, RESV_CANCELLED);
        return;
    }
    const struct concert_fact *fact = sold_out_fact(embedded, op);
    if (item->failed || !current) {
        fact = NULL;
    } else if (item->found) {
        op->reservation = item->reservation;
        op->reservation.replay = true;
        bool same = item->reservation.concert_id == op->concert_id &&
                    item->reservation.member_id == op->member_id &&
                    item->reservation.quantity == op->quantity;
        embedded_complete(embedded, op, same ? RESV_GRANTED : RESV_KEY_REUSED);
        return;
    } else if (!item->member_exists) {
        embedded_complete(embedded, op, RESV_UNKNOWN_MEMBER);
        return;
    } else {
        facts_put_member(&embedded->facts, op->member_id);
        /* A commit since then may have made the row of this key. */
        if (fact != NULL && op->keyed && fact->version != state->fact_version)
            fact = NULL;
    }
    if (fact != NULL) {
        say_sold_out(embedded, op);
        return;
    }
    state->only_writer = true;
    embedded_move(embedded, op, PLACE_QUEUE);
}

void embedded_lookups_done(struct sqlite_lookups *lookups)
{
    struct embedded *embedded = lookups->data;
    size_t index = (size_t)(lookups - embedded->lookups);
    bool current = embedded->lookups_epoch[index] == embedded->epoch;
    for (size_t i = 0; i < lookups->count; i++) {
        const struct sqlite_lookup *item = &lookups->items[i];
        struct resv_op *op = item->user;
        if (op == NULL)
            continue; /* abandoned */
        if (op->kind == RESV_OP_LOOKUP)
            finish_lookup(embedded, op, item);
        else
            finish_check(embedded, op, item, current);
    }
    embedded->lookups_in_use[index] = false;
    embedded_schedule(embedded);
}

/* --- the drain's deadline --------------------------------------------------------------------- */

void embedded_abandon(struct embedded *embedded)
{
    complete_all(embedded, &embedded->arrived, RESV_UNAVAILABLE);
    complete_all(embedded, &embedded->queue, RESV_UNAVAILABLE);
    complete_all(embedded, &embedded->checks, RESV_UNAVAILABLE);
    for (size_t b = 0; b < BATCHES; b++) {
        struct sqlite_batch *batch = &embedded->batches[b];
        for (size_t i = 0; embedded->batch_in_use[b] && i < batch->count; i++) {
            struct resv_op *op = batch->items[i].user;
            batch->items[i].user = NULL;
            if (op != NULL)
                embedded_complete(embedded, op, RESV_UNKNOWN);
        }
    }
    for (size_t l = 0; l < LOOKUPS; l++) {
        struct sqlite_lookups *lookups = &embedded->lookups[l];
        for (size_t i = 0; embedded->lookups_in_use[l] && i < lookups->count; i++) {
            struct resv_op *op = lookups->items[i].user;
            lookups->items[i].user = NULL;
            if (op != NULL)
                embedded_complete(embedded, op, RESV_UNAVAILABLE);
        }
    }
    embedded->writer_has_batch = false;
    for (size_t l = 0; l < LOOKUPS; l++)
        embedded->lookups_in_use[l] = false;
}
