/* The demonstration's steps: concerts where there are none, a member where there is none, print.
 * Each looks for itself, so that a run that was interrupted is finished by the next one. */
#include "server/demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "op/catalog_request.h"

#define DEMO_MEMBERS 1000
#define DEMO_MEMBER  7 /* the one in the printed lines */

static const struct {
    const char *title;
    const char *venue;
    int64_t capacity;
} demo_concerts[] = {
    {"The Last Night", "City Hall", 100},
    {"Open Air", "Riverside", 20000},
    {"Stadium Tour", "National Stadium", 1000000},
};
#define DEMO_CONCERTS (sizeof(demo_concerts) / sizeof(demo_concerts[0]))

/* One a process: the demonstration runs once, at its start. */
static struct demo {
    struct resv_host *host;
    struct dispatcher *dispatcher;
    const char *api;
    const char *admin;
} demo;

static void print_lines(void)
{
    printf("\nSell a seat:\n"
           "  curl -i %s/api/reservations -H 'Content-Type: application/json' \\\n"
           "       -d '{\"concertId\":1,\"memberId\":7}'\n"
           "See what is left, and check that nothing was oversold:\n"
           "  curl %s/api/concerts/1\n"
           "  curl %s/admin/audit\n\n",
           demo.api, demo.api, demo.admin);
    fflush(stdout);
}

static void failed(const char *step)
{
    log_event(RESV_LOG_WARNING, "the demonstration's catalog could not be made", "step", step,
              NULL);
}

static void step(enum resv_op_kind kind, struct resv_catalog_request *request,
                 void (*done)(struct resv_op *op))
{
    struct resv_op *op = request == NULL ? NULL : dispatcher_take(demo.dispatcher, kind);
    if (op == NULL) {
        catalog_request_free(request);
        failed("no operation to be had");
        return;
    }
    op->catalog = request;
    dispatcher_submit(demo.dispatcher, op, &demo, done);
}

static void members_made(struct resv_op *op)
{
    if (op->outcome == RESV_STORED)
        print_lines();
    else
        failed("members");
}

static void make_members(void)
{
    struct resv_catalog_request *request = catalog_request_create();
    if (request != NULL) {
        request->members = calloc(DEMO_MEMBERS, sizeof(struct resv_member));
        request->count = request->members == NULL ? 0 : DEMO_MEMBERS;
        for (size_t i = 0; i < request->count; i++)
            snprintf(request->members[i].name, sizeof(request->members[i].name), "Member %zu",
                     i + 1);
    }
    step(RESV_OP_MEMBER_CREATE, request, members_made);
}

static void looked_for_member(struct resv_op *op)
{
    if (op->outcome == RESV_FOUND)
        print_lines();
    else if (op->outcome == RESV_NOT_FOUND)
        make_members();
    else
        failed("looking for members");
}

static void look_for_member(void)
{
    struct resv_op *op = dispatcher_take(demo.dispatcher, RESV_OP_MEMBER_GET);
    if (op == NULL) {
        failed("no operation to be had");
        return;
    }
    op->member_id = DEMO_MEMBER;
    op->catalog = catalog_request_create();
    if (op->catalog == NULL) {
        dispatcher_give_back(demo.dispatcher, op);
        failed("out of memory");
        return;
    }
    dispatcher_submit(demo.dispatcher, op, &demo, looked_for_member);
}

static void concerts_made(struct resv_op *op)
{
    if (op->outcome == RESV_STORED)
        look_for_member();
    else
        failed("concerts");
}

static void make_concerts(void)
{
    struct resv_catalog_request *request = catalog_request_create();
    if (request != NULL) {
        request->concerts = calloc(DEMO_CONCERTS, sizeof(struct resv_concert));
        request->count = request->concerts == NULL ? 0 : DEMO_CONCERTS;
        for (size_t i = 0; i < request->count; i++) {
            struct resv_concert *concert = &request->concerts[i];
            snprintf(concert->title, sizeof(concert->title), "%s", demo_concerts[i].title);
            snprintf(concert->venue, sizeof(concert->venue), "%s", demo_concerts[i].venue);
            concert->capacity = demo_concerts[i].capacity;
            concert->starts_at_ms = (resv_wall_ms(demo.host) / 86400000 + 30) * 86400000 +
                                    (int64_t)i * 86400000 + 72000000; /* 20:00 in 30 days */
        }
    }
    step(RESV_OP_CONCERT_CREATE, request, concerts_made);
}

static void looked(struct resv_op *op)
{
    if (op->outcome != RESV_FOUND)
        failed("looking for concerts");
    else if (op->catalog->count > 0)
        look_for_member();
    else
        make_concerts();
}

void demo_start(struct resv_host *host, struct dispatcher *dispatcher, const char *api,
                const char *admin)
{
    demo = (struct demo){host, dispatcher, api, admin};
    struct resv_catalog_request *request = catalog_request_create();
    if (request != NULL)
        request->limit = 1;
    step(RESV_OP_CONCERT_LIST, request, looked);
}
