/* Words for traces and violations, and the trace's lines. */
#include "sim_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "sim_world.h"

const char *database_result_text(enum database_result result)
{
    static const char *const names[] = {
        [DATABASE_DONE] = "DONE",           [DATABASE_DUPLICATE] = "DUPLICATE",
        [DATABASE_NO_PARENT] = "NO_PARENT", [DATABASE_REFUSED] = "REFUSED",
        [DATABASE_LOCK_WAIT] = "LOCK_WAIT", [DATABASE_DEADLOCK] = "DEADLOCK",
        [DATABASE_FAILED] = "FAILED",       [DATABASE_LOST] = "LOST",
    };
    return names[result];
}

const char *sim_outcome_text(enum resv_outcome outcome)
{
    static const char *const names[RESV_OUTCOME_COUNT] = {
        [RESV_GRANTED] = "GRANTED",
        [RESV_ACCEPTED] = "ACCEPTED",
        [RESV_SOLD_OUT] = "SOLD_OUT",
        [RESV_LIMIT] = "LIMIT",
        [RESV_CONTENDED] = "CONTENDED",
        [RESV_CANCELLED] = "CANCELLED",
        [RESV_UNAVAILABLE] = "UNAVAILABLE",
        [RESV_UNKNOWN] = "UNKNOWN",
        [RESV_UNKNOWN_CONCERT] = "UNKNOWN_CONCERT",
        [RESV_UNKNOWN_MEMBER] = "UNKNOWN_MEMBER",
        [RESV_KEY_REUSED] = "KEY_REUSED",
        [RESV_FOUND] = "FOUND",
        [RESV_NOT_FOUND] = "NOT_FOUND",
        [RESV_RELEASED] = "RELEASED",
        [RESV_RELEASE_ACCEPTED] = "RELEASE_ACCEPTED",
        [RESV_STORED] = "STORED",
        [RESV_CAPACITY_TOO_LOW] = "CAPACITY_TOO_LOW",
    };
    return names[outcome];
}

const char *sim_kind_text(enum resv_op_kind kind)
{
    switch (kind) {
    case RESV_OP_RESERVE:
        return "RESERVE";
    case RESV_OP_RELEASE:
        return "RELEASE";
    case RESV_OP_LOOKUP:
        return "LOOKUP";
    case RESV_OP_CONCERT_UPDATE:
        return "CONCERT_UPDATE";
    case RESV_OP_CONCERT_GET:
        return "CONCERT_GET";
    case RESV_OP_CONCERT_CREATE:
        return "CONCERT_CREATE";
    case RESV_OP_MEMBER_CREATE:
        return "MEMBER_CREATE";
    case RESV_OP_DEAD_LETTER_LIST:
        return "DEAD_LETTER_LIST";
    case RESV_OP_DEAD_LETTER_RETRY:
        return "DEAD_LETTER_RETRY";
    case RESV_OP_RECONCILE:
        return "RECONCILE";
    case RESV_OP_CONCERT_LIST:
    case RESV_OP_MEMBER_GET:
    case RESV_OP_RESET:
    case RESV_OP_AUDIT:
        break;
    }
    return "CATALOG";
}

const char *sim_id_text(const struct resv_id *id)
{
    static char texts[8][16];
    static unsigned next;
    char *text = texts[next++ % 8];
    const uint8_t *last = &id->bytes[RESV_ID_SIZE - 4];
    snprintf(text, sizeof texts[0], "%02x%02x%02x%02x", last[0], last[1], last[2], last[3]);
    return text;
}

void sim_trace_line(struct sim_world *world, const char *who, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    uint64_t us = (world->schedule.now_ns - world->began_ns) / NS_PER_US;
    int head = snprintf(line, sizeof line, "%4" PRIu64 ".%06" PRIu64 "  %-7s ", us / 1000000,
                        us % 1000000, who);
    vsnprintf(line + head, sizeof line - (size_t)head, format, arguments);
    va_end(arguments);
    for (const char *byte = line; *byte != '\0'; byte++)
        world->trace_hash = (world->trace_hash ^ (uint8_t)*byte) * 0x100000001b3;
    if (world->trace == SIM_TRACE_PRINT)
        puts(line);
}
