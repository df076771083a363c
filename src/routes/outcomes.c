/* Outcomes as answers. */
#include "routes/outcomes.h"

#include "resvd/assert.h"
#include "routes/answer.h"
#include "json/json_build.h"

const struct outcome_answer outcome_answers[RESV_OUTCOME_COUNT] = {
    [RESV_GRANTED] = {201, PROBLEM_COUNT},
    [RESV_ACCEPTED] = {202, PROBLEM_COUNT},
    [RESV_SOLD_OUT] = {409, PROBLEM_SOLD_OUT},
    [RESV_LIMIT] = {409, PROBLEM_MEMBER_LIMIT},
    [RESV_CONTENDED] = {409, PROBLEM_CONTENDED},
    [RESV_CANCELLED] = {504, PROBLEM_TIMEOUT},
    [RESV_UNAVAILABLE] = {503, PROBLEM_UNAVAILABLE},
    [RESV_UNKNOWN] = {500, PROBLEM_UNKNOWN_OUTCOME},
    [RESV_UNKNOWN_CONCERT] = {404, PROBLEM_UNKNOWN_CONCERT},
    [RESV_UNKNOWN_MEMBER] = {404, PROBLEM_UNKNOWN_MEMBER},
    [RESV_KEY_REUSED] = {422, PROBLEM_KEY_REUSED},
    [RESV_FOUND] = {200, PROBLEM_COUNT},
    [RESV_NOT_FOUND] = {404, PROBLEM_NOT_FOUND},
    [RESV_RELEASED] = {204, PROBLEM_COUNT},
    [RESV_RELEASE_ACCEPTED] = {202, PROBLEM_COUNT},
    [RESV_STORED] = {201, PROBLEM_COUNT}, /* 200 where nothing new was made */
    [RESV_CAPACITY_TOO_LOW] = {409, PROBLEM_CAPACITY_TOO_LOW},
};

static bool is_success(enum resv_op_kind kind, enum resv_outcome outcome)
{
    switch (kind) {
    case RESV_OP_RESERVE:
        return outcome == RESV_GRANTED || outcome == RESV_ACCEPTED;
    case RESV_OP_RELEASE:
        return outcome == RESV_RELEASED || outcome == RESV_RELEASE_ACCEPTED;
    case RESV_OP_LOOKUP:
    case RESV_OP_CONCERT_GET:
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_MEMBER_GET:
    case RESV_OP_AUDIT:
    case RESV_OP_DEAD_LETTER_LIST:
        return outcome == RESV_FOUND;
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_MEMBER_CREATE:
    case RESV_OP_RESET:
    case RESV_OP_DEAD_LETTER_RETRY:
    case RESV_OP_RECONCILE:
        return outcome == RESV_STORED;
    }
    RESV_ASSERT(false && "an operation kind");
    return false;
}

/* For NOT_FOUND; NULL where the kind has nothing to find. */
static const char *not_found_detail(enum resv_op_kind kind)
{
    switch (kind) {
    case RESV_OP_RELEASE:
    case RESV_OP_LOOKUP:
        return "There is no reservation with this id.";
    case RESV_OP_CONCERT_GET:
    case RESV_OP_CONCERT_UPDATE:
    case RESV_OP_RECONCILE:
        return "There is no concert with this id.";
    case RESV_OP_MEMBER_GET:
        return "There is no member with this id.";
    case RESV_OP_DEAD_LETTER_RETRY:
        return "There is no dead letter with this id.";
    case RESV_OP_RESERVE:
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_CONCERT_CREATE:
    case RESV_OP_MEMBER_CREATE:
    case RESV_OP_RESET:
    case RESV_OP_AUDIT:
    case RESV_OP_DEAD_LETTER_LIST:
        return NULL;
    }
    RESV_ASSERT(false && "an operation kind");
    return NULL;
}

static bool is_read(enum resv_op_kind kind)
{
    return kind == RESV_OP_LOOKUP || kind == RESV_OP_CONCERT_GET || kind == RESV_OP_CONCERT_LIST ||
           kind == RESV_OP_MEMBER_GET || kind == RESV_OP_AUDIT || kind == RESV_OP_DEAD_LETTER_LIST;
}

static void answer_key_reused(struct call *call, const struct resv_op *op)
{
    cJSON *errors = cJSON_CreateArray();
    cJSON *error = cJSON_CreateObject();
    bool good = json_build_add(error, "field", cJSON_CreateString("Idempotency-Key")) &&
                json_build_add(error, "detail",
                               cJSON_CreateString("was used for another concert or quantity"));
    if (!good) {
        cJSON_Delete(error);
        error = NULL;
    }
    if (!json_build_add(errors, NULL, error)) {
        cJSON_Delete(errors);
        errors = NULL;
    }
    answer_problem_with(call, PROBLEM_KEY_REUSED, NULL, &op->id, errors);
}

static void answer_unknown_outcome(struct call *call, const struct resv_op *op)
{
    if (op->kind != RESV_OP_RESERVE && op->kind != RESV_OP_RELEASE) {
        answer_problem(call, PROBLEM_UNKNOWN_OUTCOME);
        return;
    }
    call->answer.has_location = true;
    call->answer.location = op->id;
    answer_problem_with(call, PROBLEM_UNKNOWN_OUTCOME, NULL, &op->id, NULL);
}

bool outcome_refuse(struct call *call, const struct resv_op *op)
{
    RESV_ASSERT(op->outcome < RESV_OUTCOME_COUNT);
    enum problem problem = outcome_answers[op->outcome].problem;
    if (problem == PROBLEM_COUNT) {
        RESV_ASSERT(is_success(op->kind, op->outcome));
        return false;
    }
    /* A read whose answer was lost has changed nothing, so that nothing is unknown. */
    if (problem == PROBLEM_UNKNOWN_OUTCOME && is_read(op->kind))
        problem = PROBLEM_UNAVAILABLE;
    if (problem == PROBLEM_UNKNOWN_OUTCOME)
        answer_unknown_outcome(call, op);
    else if (problem == PROBLEM_KEY_REUSED)
        answer_key_reused(call, op);
    else if (problem == PROBLEM_NOT_FOUND && not_found_detail(op->kind) != NULL)
        answer_problem_with(call, problem, not_found_detail(op->kind), NULL, NULL);
    else
        answer_problem(call, problem);
    return true;
}
