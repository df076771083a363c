/* The source study's own way to begin a run: a reset of fixed size, with the ids in the answer. */
#include "routes/answer.h"
#include "routes/concert_json.h"
#include "routes/outcomes.h"
#include "routes/routes_state.h"
#include "json/json_build.h"

#define STUDY_CONCERTS 10
#define STUDY_CAPACITY 100000
#define STUDY_MEMBERS  200

/* A reset counts ids from 1 again. */
static cJSON *ids_json(int64_t count)
{
    cJSON *array = cJSON_CreateArray();
    bool good = array != NULL;
    for (int64_t id = 1; good && id <= count; id++)
        good = json_build_add(array, NULL, json_build_integer(id));
    return json_when_good(array, good);
}

static void init_done(struct resv_op *op)
{
    struct call *call = routes_detach(op);
    if (call != NULL && !outcome_refuse(call, op)) {
        cJSON *item = cJSON_CreateObject();
        bool good =
            json_build_add(item, "concertCount", json_build_integer(STUDY_CONCERTS)) &&
            json_build_add(item, "memberCount", json_build_integer(STUDY_MEMBERS)) &&
            json_build_add(item, "concertIds", ids_json(STUDY_CONCERTS)) &&
            json_build_add(item, "memberIds", ids_json(STUDY_MEMBERS)) &&
            json_build_add(item, "message",
                           cJSON_CreateString("10 concerts of 100000 seats and 200 members."));
        answer_json(call, 201, CONTENT_JSON, json_when_good(item, good));
    }
    routes_catalog_done(op);
}

void route_study_init(const struct route_call *self)
{
    struct resv_op *op = routes_take_catalog(self, RESV_OP_RESET);
    if (op == NULL)
        return;
    op->catalog->reset_concerts = STUDY_CONCERTS;
    op->catalog->reset_capacity = STUDY_CAPACITY;
    op->catalog->reset_members = STUDY_MEMBERS;
    routes_submit(self, op, init_done);
}
