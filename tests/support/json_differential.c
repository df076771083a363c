/* The checks: the token list is well formed; keys differ; cJSON reads the same structure, strings
 * and integers; with less room for tokens or strings the answer is a clean refusal. */
#include "support/json_differential.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

/* cJSON 1.7.15 reads numbers through a buffer of 64 bytes and refuses longer ones. */
#define CJSON_NUMBER_BYTES_MAX 63

static struct json_token tokens[JSON_DIFFERENTIAL_TOKENS_MAX];

static const char *check_string(const struct json_document *document, size_t token,
                                const char *theirs)
{
    static char decoded[JSON_DIFFERENTIAL_TEXT_MAX];
    const struct json_token *string = &document->tokens[token];
    size_t size = json_string(document, token, decoded, sizeof(decoded));
    if (size == SIZE_MAX || size > string->size) {
        return "a decoded string is longer than its text";
    }
    bool escaped = memchr(document->text + string->start, '\\', string->size) != NULL;
    if (string->count != (escaped ? 1U : 0U)) {
        return "the mark for escapes is wrong";
    }
    struct text text = {.data = decoded, .size = size};
    if (!json_string_equal(document, token, text)) {
        return "a string does not equal itself";
    }
    if (size > 0) {
        if (json_string(document, token, decoded, size) != size ||
            json_string(document, token, decoded, size - 1) != SIZE_MAX) {
            return "a buffer of the exact size is judged wrongly";
        }
        text.size--;
        if (json_string_equal(document, token, text)) {
            return "a string equals its prefix";
        }
        text.size++;
        decoded[size - 1] ^= 1;
        if (json_string_equal(document, token, text)) {
            return "a string equals another";
        }
        decoded[size - 1] ^= 1;
    }
    /* Theirs ends at the first NUL. */
    size_t before_nul = size == 0 ? 0 : strnlen(decoded, size);
    if (strlen(theirs) != before_nul || memcmp(theirs, decoded, before_nul) != 0) {
        return "a string differs";
    }
    return NULL;
}

static const char *check_number(const struct json_document *document, size_t token, double theirs)
{
    int64_t value = 0;
    switch (json_integer(document, token, &value)) {
    case JSON_INTEGER_OK:
        return theirs == (double)value ? NULL : "an integer differs";
    case JSON_INTEGER_NOT_A_NUMBER:
        return "a number is not a number";
    case JSON_INTEGER_FRACTION: {
        /* Rounding may have made theirs an integer; it cannot make a small plain one a fraction. */
        const struct json_token *number = &document->tokens[token];
        bool plain = true;
        for (uint32_t i = 0; i < number->size; i++) {
            plain = plain && strchr(".eE", document->text[number->start + i]) == NULL;
        }
        return plain ? "a plain integer is called a fraction" : NULL;
    }
    case JSON_INTEGER_TOO_LARGE:
        return fabs(theirs) >= 9007199254740991.0 ? NULL : "a small number is called too large";
    }
    return "no such state";
}

static const char *check_keys_differ(const struct json_document *document, size_t object)
{
    static char decoded[JSON_DIFFERENTIAL_TEXT_MAX];
    size_t end = document->tokens[object].next;
    for (size_t key = object + 1; key < end; key = document->tokens[key + 1].next) {
        struct text text = {.data = decoded};
        text.size = json_string(document, key, decoded, sizeof(decoded));
        size_t later = document->tokens[key + 1].next;
        for (; later < end; later = document->tokens[later + 1].next) {
            if (json_string_equal(document, later, text)) {
                return "a duplicate key was accepted";
            }
        }
    }
    return NULL;
}

static const char *check_value(const struct json_document *document, size_t token,
                               const cJSON *theirs);

static const char *check_container(const struct json_document *document, size_t token,
                                   const cJSON *theirs)
{
    const struct json_token *container = &document->tokens[token];
    bool object = container->type == JSON_OBJECT;
    const cJSON *child = theirs->child;
    size_t at = token + 1;
    const char *why = object ? check_keys_differ(document, token) : NULL;
    for (uint32_t i = 0; i < container->count && why == NULL; i++) {
        if (child == NULL || at >= container->next) {
            return "the number of values differs";
        }
        if (object) {
            if (document->tokens[at].type != JSON_STRING || document->tokens[at].next != at + 1) {
                return "a key token is wrong";
            }
            why = check_string(document, at, child->string);
            at++;
        }
        why = why != NULL ? why : check_value(document, at, child);
        at = document->tokens[at].next;
        child = child->next;
    }
    if (why == NULL && (child != NULL || at != container->next)) {
        return "the number of values differs";
    }
    return why;
}

static const char *check_value(const struct json_document *document, size_t token,
                               const cJSON *theirs)
{
    const struct json_token *value = &document->tokens[token];
    const char *first = document->text + value->start;
    switch (value->type) {
    case JSON_OBJECT:
    case JSON_ARRAY: {
        bool object = value->type == JSON_OBJECT;
        bool brackets = value->size >= 2 && *first == (object ? '{' : '[') &&
                        first[value->size - 1] == (object ? '}' : ']');
        if (!brackets || !(object ? cJSON_IsObject(theirs) : cJSON_IsArray(theirs))) {
            return "an object or array differs";
        }
        return check_container(document, token, theirs);
    }
    case JSON_STRING:
        if (!cJSON_IsString(theirs) || value->next != token + 1) {
            return "a string token is wrong";
        }
        return check_string(document, token, theirs->valuestring);
    case JSON_NUMBER:
        if (!cJSON_IsNumber(theirs) || value->next != token + 1) {
            return "a number token is wrong";
        }
        return check_number(document, token, theirs->valuedouble);
    case JSON_TRUE:
        return cJSON_IsTrue(theirs) && value->size == 4 ? NULL : "true differs";
    case JSON_FALSE:
        return cJSON_IsFalse(theirs) && value->size == 5 ? NULL : "false differs";
    case JSON_NULL:
        return cJSON_IsNull(theirs) && value->size == 4 ? NULL : "null differs";
    }
    return "no such type";
}

static const char *check_accepted(const struct json_document *document, size_t size)
{
    if (document->token_count == 0 || document->tokens[0].next != document->token_count) {
        return "the first token does not hold all";
    }
    for (size_t i = 0; i < document->token_count; i++) {
        const struct json_token *token = &document->tokens[i];
        if ((size_t)token->start + token->size > size) {
            return "a token lies outside the text";
        }
        if (token->type == JSON_NUMBER && token->size > CJSON_NUMBER_BYTES_MAX) {
            return NULL;
        }
    }
    const char *end = NULL;
    cJSON *theirs = cJSON_ParseWithLengthOpts(document->text, size, &end, 0);
    const char *why = theirs == NULL ? "cJSON refuses it" : check_value(document, 0, theirs);
    cJSON_Delete(theirs);
    return why;
}

/* One token too few must be refused, and nothing written behind it. */
static const char *check_too_few_tokens(const struct json_document *document, size_t size)
{
    size_t room = document->token_count - 1;
    struct json_token *few = room == 0 ? NULL : malloc(room * sizeof(*few));
    struct json_document smaller = {.tokens = few, .tokens_max = room};
    struct json_error error = {.what = ""};
    bool parsed = json_parse(&smaller, document->text, size, &error);
    free(few);
    if (parsed || strcmp(error.what, "too many values") != 0) {
        return "too few tokens are not refused as such";
    }
    return NULL;
}

enum json_verdict json_differential(const char *text, size_t size, const char **why)
{
    struct json_document document = {.tokens = tokens, .tokens_max = JSON_DIFFERENTIAL_TOKENS_MAX};
    struct json_error error = {.what = NULL, .offset = SIZE_MAX};
    if (!json_parse(&document, text, size, &error)) {
        if (error.what == NULL || error.offset > size || document.token_count != 0) {
            *why = "a refusal without a reason, or with tokens";
            return JSON_VERDICT_WRONG;
        }
        return JSON_VERDICT_REFUSED;
    }
    *why = check_accepted(&document, size);
    if (*why == NULL) {
        *why = check_too_few_tokens(&document, size);
    }
    return *why == NULL ? JSON_VERDICT_ACCEPTED : JSON_VERDICT_WRONG;
}
