/* A strategy that has nothing of its own but a list of the RESERVEs that it was given. */
#include "base_fixture.h"

#include <stdlib.h>

unsigned plain_freed;
int plain_open_result;

static int plain_open_options(struct base *base)
{
    if (plain_open_result != 0)
        resv_host_start_failed(base->host, 78, "not like this");
    return plain_open_result;
}

static void plain_free(struct base *base)
{
    (void)base;
    plain_freed++;
}

static void plain_reserve(struct base *base, struct resv_op *op)
{
    base_list_append(&((struct plain *)base)->reserves, op);
}

static void plain_cancel(struct base *base, struct resv_op *op)
{
    base_list_remove(&((struct plain *)base)->reserves, op);
    base_complete_soon(base, op, RESV_CANCELLED);
}

static void plain_abandon(struct base *base)
{
    struct plain *plain = (struct plain *)base;
    assert_false(the_link.interrupted); /* the strategy first */
    plain->abandoned++;
    while (plain->reserves.first != NULL) {
        struct resv_op *op = plain->reserves.first;
        base_list_remove(&plain->reserves, op);
        base_complete_soon(base, op, RESV_UNAVAILABLE);
    }
}

static void plain_catalog_changed(struct base *base, int64_t concert_id)
{
    ((struct plain *)base)->concert_changed = concert_id;
}

static void plain_up_changed(struct base *base)
{
    ((struct plain *)base)->up_changed++;
}

static const struct base_plan plan = {
    .isolation = DATABASE_READ_COMMITTED,
    .rows_max = 4,
    .size = sizeof(struct plain),
    .retries = true,
    .open = plain_open_options,
    .free = plain_free,
    .reserve = plain_reserve,
    .cancel = plain_cancel,
    .abandon = plain_abandon,
    .catalog_changed = plain_catalog_changed,
    .up_changed = plain_up_changed,
};

static int plain_open(struct resv_host *host, void **instance)
{
    return base_open(host, &plan, instance);
}

const struct resv_strategy plain_strategy = {
    .name = "plain",
    .op_private_size = sizeof(struct base_op),
    .open = plain_open,
    .start = base_start,
    .submit = base_submit,
    .catalog = base_catalog,
    .cancel = base_cancel,
    .drain = base_drain,
    .close = base_close,
};

int plain_set_up(void **state)
{
    struct database_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fake_host_init(&fixture->host);
    link_reset();
    plain_freed = 0;
    plain_open_result = 0;
    strategy_start(fixture, &plain_strategy);
    assert_int_equal(the_link.config.rows_max, 4);
    *state = fixture;
    return 0;
}

int plain_tear_down(void **state)
{
    struct database_fixture *fixture = *state;
    strategy_stop(fixture);
    assert_int_equal(plain_freed, 1);
    free(fixture);
    return 0;
}

struct plain *plain_of(struct database_fixture *fixture)
{
    return fixture->instance;
}

void complete_reserves(struct database_fixture *fixture)
{
    struct plain *plain = plain_of(fixture);
    while (plain->reserves.first != NULL) {
        struct resv_op *op = plain->reserves.first;
        base_list_remove(&plain->reserves, op);
        base_complete(&plain->base, op, base_granted(op));
    }
    fake_host_flush(&fixture->host);
}
