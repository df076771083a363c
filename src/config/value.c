/* One value: from its text to what the program uses, and its range in words. */
#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/notes.h"

#define QUOTED_SIZE 80 /* bytes of a bad value that are shown */

/* Exact decimal: no sign but -, no leading zeros, nothing around it. */
static bool parse_integer(const char *text, int64_t *number)
{
    bool negative = text[0] == '-';
    const char *digits = negative ? text + 1 : text;
    if (digits[0] == '\0' || (digits[0] == '0' && (digits[1] != '\0' || negative))) {
        return false;
    }
    int64_t result = 0;
    for (const char *at = digits; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        int64_t digit = *at - '0';
        if (__builtin_mul_overflow(result, 10, &result) ||
            (negative ? __builtin_sub_overflow(result, digit, &result)
                      : __builtin_add_overflow(result, digit, &result))) {
            return false;
        }
    }
    *number = result;
    return true;
}

static bool parse_boolean(const char *text, int64_t *number)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *number = (int64_t)(i % 2);
            return true;
        }
    }
    return false;
}

static bool parse_choice(const char *const *choices, const char *text, int64_t *number)
{
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *number = (int64_t)i;
            return true;
        }
    }
    return false;
}

static void join_choices(const char *const *choices, char *out, size_t out_size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; choices[i] != NULL && used < out_size; i++) {
        int written = snprintf(out + used, out_size - used, "%s%s", i == 0 ? "" : ", ", choices[i]);
        used += (size_t)written;
    }
}

void value_describe(const struct resv_option *option, char *out, size_t out_size)
{
    switch (option->type) {
    case RESV_OPTION_INTEGER:
        snprintf(out, out_size, "%" PRId64 " to %" PRId64 "%s%s", option->minimum, option->maximum,
                 option->unit == NULL ? "" : " ", option->unit == NULL ? "" : option->unit);
        return;
    case RESV_OPTION_BOOLEAN:
        snprintf(out, out_size, "on or off");
        return;
    case RESV_OPTION_STRING:
        snprintf(out, out_size, "text");
        return;
    case RESV_OPTION_CHOICE:
        join_choices(option->choices, out, out_size);
        return;
    }
}

static void explain(const struct resv_option *option, const char *text, char *why, size_t why_size)
{
    char range[VALUE_WHY_SIZE / 2];
    char quoted[QUOTED_SIZE];
    value_describe(option, range, sizeof range);
    notes_quote(quoted, sizeof quoted, text, strlen(text));
    const char *kind = option->type == RESV_OPTION_INTEGER  ? "a whole number from "
                       : option->type == RESV_OPTION_CHOICE ? "one of "
                                                            : "";
    if (option->secret) {
        snprintf(why, why_size, "must be %s%s", kind, range);
    } else {
        snprintf(why, why_size, "must be %s%s, not '%s'", kind, range, quoted);
    }
}

bool value_parse(const struct resv_option *option, const char *text, int64_t *number, char *why,
                 size_t why_size)
{
    bool good = false;
    *number = 0;
    switch (option->type) {
    case RESV_OPTION_INTEGER:
        good =
            parse_integer(text, number) && *number >= option->minimum && *number <= option->maximum;
        break;
    case RESV_OPTION_BOOLEAN:
        good = parse_boolean(text, number);
        break;
    case RESV_OPTION_STRING:
        /* Says itself what is wrong. */
        return text[0] == '\0' || option->check == NULL || option->check(text, why, why_size);
    case RESV_OPTION_CHOICE:
        good = parse_choice(option->choices, text, number);
        break;
    }
    if (!good) {
        explain(option, text, why, why_size);
    }
    return good;
}
