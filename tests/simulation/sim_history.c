/* What was committed when: for answers that must have been true at some instant. */
#include <stdlib.h>

#include "resvd/assert.h"
#include "sim_checker.h"

/* From `at_ns` until the next one. */
struct moment {
    uint64_t at_ns;
    struct sim_seen concert;
    int64_t member_id; /* whose seats changed; 0 for nobody's */
    int64_t member_live;
    int64_t pending; /* seats, in Redis */
};

struct checker_history {
    struct moment *moments;
    size_t count;
    size_t capacity;
    bool lowered; /* the concert's capacity was, once */
    bool limit_changed;
};

static struct checker_history *history_of(const struct sim_checker *checker, int64_t concert_id)
{
    return concert_id >= 1 && (size_t)concert_id <= checker->histories_count
               ? &checker->histories[concert_id - 1]
               : NULL;
}

static void append(struct checker_history *history, const struct moment *moment)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity > 0 ? history->capacity * 2 : 64;
        history->moments =
            realloc(history->moments, history->capacity * sizeof history->moments[0]);
        RESV_ASSERT(history->moments != NULL);
    }
    history->moments[history->count++] = *moment;
}

static bool is_no_change(const struct moment *last, const struct moment *now)
{
    return now->member_id == 0 && now->pending == last->pending &&
           now->concert.capacity == last->concert.capacity &&
           now->concert.sold == last->concert.sold && now->concert.limit == last->concert.limit &&
           now->concert.fence == last->concert.fence;
}

void history_note(struct sim_checker *checker, const struct sim_concert *concert, int64_t member_id)
{
    size_t id = (size_t)concert->committed.id;
    if (id > checker->histories_count) {
        checker->histories = realloc(checker->histories, id * sizeof checker->histories[0]);
        RESV_ASSERT(checker->histories != NULL);
        while (checker->histories_count < id)
            checker->histories[checker->histories_count++] = (struct checker_history){0};
    }
    struct checker_history *history = &checker->histories[id - 1];
    const struct moment *last = history->count > 0 ? &history->moments[history->count - 1] : NULL;
    const struct moment now = {
        .at_ns = checker->world->schedule.now_ns,
        .concert = {.capacity = concert->committed.capacity,
                    .sold = concert->committed.sold,
                    .limit = concert->committed.member_limit,
                    .fence = concert->fence},
        .member_id = member_id,
        .member_live = member_id != 0 ? tables_member_live(concert, member_id) : 0,
        .pending = stock_pending(checker->world, concert->committed.id, 0),
    };
    if (last != NULL && is_no_change(last, &now))
        return;
    history->lowered |= last != NULL && now.concert.capacity < last->concert.capacity;
    history->limit_changed |= last != NULL && now.concert.limit != last->concert.limit;
    append(history, &now);
}

bool history_last(const struct sim_checker *checker, int64_t concert_id, struct sim_seen *last)
{
    const struct checker_history *history = history_of(checker, concert_id);
    if (history == NULL || history->count == 0)
        return false;
    *last = history->moments[history->count - 1].concert;
    return true;
}

/* The state that was there at that time, or 0. */
static size_t moment_at(const struct checker_history *history, uint64_t since_ns)
{
    size_t index = history->count;
    while (index > 0 && history->moments[index - 1].at_ns >= since_ns)
        index--;
    return index > 0 ? index - 1 : 0;
}

bool history_was_lowered(const struct sim_checker *checker, int64_t concert_id)
{
    const struct checker_history *history = history_of(checker, concert_id);
    return history != NULL && history->lowered;
}

bool history_limit_changed(const struct sim_checker *checker, int64_t concert_id)
{
    const struct checker_history *history = history_of(checker, concert_id);
    return history != NULL && history->limit_changed;
}

int64_t history_lowest_limit(const struct sim_checker *checker, int64_t concert_id,
                             uint64_t since_ns)
{
    const struct checker_history *history = history_of(checker, concert_id);
    int64_t lowest = RESV_NO_MEMBER_LIMIT;
    for (size_t i = history != NULL ? moment_at(history, since_ns) : 0;
         history != NULL && i < history->count; i++) {
        int64_t limit = history->moments[i].concert.limit;
        if (limit != RESV_NO_MEMBER_LIMIT && (lowest == RESV_NO_MEMBER_LIMIT || limit < lowest))
            lowest = limit;
    }
    return lowest;
}

bool history_was_short(const struct sim_checker *checker, int64_t concert_id, int64_t quantity,
                       uint64_t since_ns)
{
    const struct checker_history *history = history_of(checker, concert_id);
    if (history == NULL)
        return false;
    for (size_t i = moment_at(history, since_ns); i < history->count; i++) {
        const struct sim_seen *concert = &history->moments[i].concert;
        if (concert->capacity - concert->sold < quantity)
            return true;
    }
    return false;
}

bool history_seemed_short(const struct sim_checker *checker, const struct sim_request *request,
                          uint64_t since_ns)
{
    const struct checker_history *history = history_of(checker, request->concert_id);
    int64_t left = INT64_MAX;
    int64_t pending = 0;
    if (history == NULL)
        return false;
    for (size_t i = moment_at(history, since_ns); i < history->count; i++) {
        const struct moment *moment = &history->moments[i];
        if (moment->concert.capacity - moment->concert.sold < left)
            left = moment->concert.capacity - moment->concert.sold;
    }
    for (size_t i = moment_at(history, request->submitted_ns); i < history->count; i++) {
        if (history->moments[i].pending > pending)
            pending = history->moments[i].pending;
    }
    return left - pending < request->quantity;
}

bool history_was_over_limit(const struct sim_checker *checker, int64_t concert_id,
                            int64_t member_id, int64_t quantity, uint64_t since_ns)
{
    const struct checker_history *history = history_of(checker, concert_id);
    if (history == NULL)
        return false;
    size_t begin = moment_at(history, since_ns);
    int64_t live = 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct moment *moment = &history->moments[i];
        if (moment->member_id == member_id)
            live = moment->member_live;
        int64_t limit = moment->concert.limit;
        if (i >= begin && limit != RESV_NO_MEMBER_LIMIT && live + quantity > limit)
            return true;
    }
    return false;
}

void history_free(struct sim_checker *checker)
{
    for (size_t i = 0; i < checker->histories_count; i++)
        free(checker->histories[i].moments);
    free(checker->histories);
}
