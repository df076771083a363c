/* The strict JSON reader: one pass over the text, a flat list of tokens, nothing allocated.
 *
 * One request is one small object, so this is on the hottest path of the server: strings are
 * scanned through a table of byte classes, and what is open lives on a stack of 16.
 */
#include "json/json.h"

#include <string.h>

#include "resvd/assert.h"
#include "json/json_keys.h"

_Static_assert(JSON_DEPTH_MAX == 16, "the text of error_depth says 16");
static const char error_depth[] = "nested deeper than 16";
static const char error_end[] = "the text ends too early";

/* What a byte is inside a string. */
enum byte_class { PLAIN, QUOTE, ESCAPE, CONTROL, UTF8_LEAD, UTF8_BAD };

#define FOUR(class)    class, class, class, class
#define SIXTEEN(class) FOUR(class), FOUR(class), FOUR(class), FOUR(class)
/* clang-format off */
static const uint8_t byte_classes[256] = {
    SIXTEEN(CONTROL),
    SIXTEEN(CONTROL),
    PLAIN, PLAIN, QUOTE, PLAIN, FOUR(PLAIN), FOUR(PLAIN), FOUR(PLAIN), /* 0x20 */
    SIXTEEN(PLAIN),
    SIXTEEN(PLAIN),
    FOUR(PLAIN), FOUR(PLAIN), FOUR(PLAIN), ESCAPE, PLAIN, PLAIN, PLAIN, /* 0x50 */
    SIXTEEN(PLAIN),
    SIXTEEN(PLAIN),
    SIXTEEN(UTF8_BAD), /* 0x80: bytes that only continue */
    SIXTEEN(UTF8_BAD),
    SIXTEEN(UTF8_BAD),
    SIXTEEN(UTF8_BAD),
    UTF8_BAD, UTF8_BAD, UTF8_LEAD, UTF8_LEAD, /* 0xC0, 0xC1 would be overlong */
    FOUR(UTF8_LEAD), FOUR(UTF8_LEAD), FOUR(UTF8_LEAD),
    SIXTEEN(UTF8_LEAD),
    SIXTEEN(UTF8_LEAD),
    FOUR(UTF8_LEAD), UTF8_LEAD, UTF8_BAD, UTF8_BAD, UTF8_BAD, /* 0xF5: above U+10FFFF */
    FOUR(UTF8_BAD), FOUR(UTF8_BAD),
};
/* clang-format on */

struct parser {
    struct json_document *document;
    const char *at;
    const char *end;
    struct json_error *error;
    uint32_t open[JSON_DEPTH_MAX]; /* tokens of the objects and arrays around `at` */
    size_t depth;
};

enum step {
    STEP_VALUE,  /* a value comes next */
    STEP_DONE,   /* a value is complete */
    STEP_FAILED, /* the error is set */
};

static bool fail(struct parser *parser, const char *at, const char *what)
{
    parser->error->what = what;
    parser->error->offset = (size_t)(at - parser->document->text);
    return false;
}

/* At the end of the text that is what is wrong, else it is `what`. */
static bool fail_expected(struct parser *parser, const char *what)
{
    return fail(parser, parser->at, parser->at == parser->end ? error_end : what);
}

static void skip_whitespace(struct parser *parser)
{
    const char *at = parser->at;
    while (at < parser->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    parser->at = at;
}

static bool next_is(const struct parser *parser, char character)
{
    return parser->at < parser->end && *parser->at == character;
}

/* A new token that starts at `start`, or NULL when there is no room. */
static struct json_token *add_token(struct parser *parser, enum json_type type, const char *start)
{
    struct json_document *document = parser->document;
    if (document->token_count >= document->tokens_max) {
        fail(parser, start, "too many values");
        return NULL;
    }
    struct json_token *token = &document->tokens[document->token_count++];
    token->type = type;
    token->start = (uint32_t)(start - document->text);
    token->size = 0;
    token->count = 0;
    token->next = (uint32_t)document->token_count;
    return token;
}

/* --- strings ------------------------------------------------------------------------------ */

/* Bytes of the UTF-8 sequence (2 to 4) whose lead is at `at`, 0 when it is not well formed:
 * RFC 3629's table, in which the second byte's range excludes what is overlong, a surrogate or
 * above U+10FFFF. */
static size_t utf8_size(const char *at, const char *end)
{
    const unsigned char *bytes = (const unsigned char *)at;
    size_t size = bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : 4;
    if ((size_t)(end - at) < size) {
        return 0;
    }
    unsigned char low = bytes[0] == 0xE0 ? 0xA0 : bytes[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = bytes[0] == 0xED ? 0x9F : bytes[0] == 0xF4 ? 0x8F : 0xBF;
    if (bytes[1] < low || bytes[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return size;
}

/* The value of \uXXXX at `at`, or -1 when that is not what is there. */
static int32_t escaped_code_unit(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
        return -1;
    }
    int32_t value = 0;
    for (size_t i = 2; i < 6; i++) {
        int32_t digit;
        if (at[i] >= '0' && at[i] <= '9') {
            digit = at[i] - '0';
        } else if (at[i] >= 'a' && at[i] <= 'f') {
            digit = at[i] - 'a' + 10;
        } else if (at[i] >= 'A' && at[i] <= 'F') {
            digit = at[i] - 'A' + 10;
        } else {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* Bytes of the escape (a pair of surrogates is one) whose backslash is at `at`; 0 and the error
 * set when it is none. */
static size_t escape_size(struct parser *parser, const char *at)
{
    if (parser->end - at >= 2 && at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL) {
        return 2;
    }
    int32_t unit = escaped_code_unit(at, parser->end);
    if (unit < 0) {
        fail(parser, at, "bad escape in a string");
        return 0;
    }
    if (unit < 0xD800 || unit > 0xDFFF) {
        return 6;
    }
    int32_t low = unit <= 0xDBFF ? escaped_code_unit(at + 6, parser->end) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        fail(parser, at, "lone surrogate in a string");
        return 0;
    }
    return 12;
}

/* `at` is the opening quote. */
static bool parse_string(struct parser *parser)
{
    struct json_token *token = add_token(parser, JSON_STRING, parser->at + 1);
    if (token == NULL) {
        return false;
    }
    const char *start = parser->at + 1;
    const char *at = start;
    for (;;) {
        while (at < parser->end && byte_classes[(unsigned char)*at] == PLAIN) {
            at++;
        }
        if (at == parser->end) {
            return fail(parser, at, error_end);
        }
        size_t size = 0;
        switch ((enum byte_class)byte_classes[(unsigned char)*at]) {
        case PLAIN:
            break;
        case QUOTE:
            token->size = (uint32_t)(at - start);
            parser->at = at + 1;
            return true;
        case ESCAPE:
            token->count = 1;
            size = escape_size(parser, at);
            if (size == 0) {
                return false;
            }
            break;
        case CONTROL:
            return fail(parser, at, "control byte in a string");
        case UTF8_LEAD:
            size = utf8_size(at, parser->end);
            if (size == 0) {
                return fail(parser, at, "bad UTF-8");
            }
            break;
        case UTF8_BAD:
            return fail(parser, at, "bad UTF-8");
        }
        at += size;
    }
}

/* --- numbers and literals ----------------------------------------------------------------- */

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

/* The digits that must be at *at; *at moves behind them. */
static bool require_digits(struct parser *parser, const char **at)
{
    const char *behind = skip_digits(*at, parser->end);
    if (behind == *at) {
        return fail(parser, *at, *at == parser->end ? error_end : "digit expected in a number");
    }
    *at = behind;
    return true;
}

/* `at` is a digit or a minus. */
static bool parse_number(struct parser *parser)
{
    struct json_token *token = add_token(parser, JSON_NUMBER, parser->at);
    if (token == NULL) {
        return false;
    }
    const char *at = parser->at;
    const char *end = parser->end;
    at += *at == '-';
    const char *integer = at;
    if (!require_digits(parser, &at)) {
        return false;
    }
    if (*integer == '0' && at - integer > 1) {
        return fail(parser, integer, "number with a leading zero");
    }
    if (at < end && *at == '.') {
        at++;
        if (!require_digits(parser, &at)) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        if (!require_digits(parser, &at)) {
            return false;
        }
    }
    token->size = (uint32_t)(at - parser->at);
    parser->at = at;
    return true;
}

static bool parse_literal(struct parser *parser, enum json_type type, struct text literal)
{
    if ((size_t)(parser->end - parser->at) < literal.size ||
        memcmp(parser->at, literal.data, literal.size) != 0) {
        return fail(parser, parser->at, "value expected");
    }
    struct json_token *token = add_token(parser, type, parser->at);
    if (token == NULL) {
        return false;
    }
    token->size = (uint32_t)literal.size;
    parser->at += literal.size;
    return true;
}

/* --- structure ---------------------------------------------------------------------------- */

/* A member's name and the colon behind it. */
static enum step parse_key(struct parser *parser)
{
    skip_whitespace(parser);
    if (!next_is(parser, '"')) {
        fail_expected(parser, "name in double quotes expected");
        return STEP_FAILED;
    }
    if (!parse_string(parser)) {
        return STEP_FAILED;
    }
    skip_whitespace(parser);
    if (!next_is(parser, ':')) {
        fail_expected(parser, "colon expected");
        return STEP_FAILED;
    }
    parser->at++;
    return STEP_VALUE;
}

/* `at` is the closing bracket of the innermost object or array. */
static enum step close_container(struct parser *parser)
{
    struct json_document *document = parser->document;
    parser->at++;
    uint32_t index = parser->open[--parser->depth];
    struct json_token *token = &document->tokens[index];
    token->size = (uint32_t)(parser->at - document->text) - token->start;
    token->next = (uint32_t)document->token_count;
    if (token->type == JSON_OBJECT && token->count > 1) {
        uint32_t duplicate = json_keys_duplicate(document, index);
        if (duplicate != 0) {
            fail(parser, document->text + document->tokens[duplicate].start - 1, "duplicate key");
            return STEP_FAILED;
        }
    }
    return STEP_DONE;
}

/* `at` is the opening bracket. */
static enum step open_container(struct parser *parser, enum json_type type)
{
    if (parser->depth == JSON_DEPTH_MAX) {
        fail(parser, parser->at, error_depth);
        return STEP_FAILED;
    }
    if (add_token(parser, type, parser->at) == NULL) {
        return STEP_FAILED;
    }
    parser->open[parser->depth++] = (uint32_t)parser->document->token_count - 1;
    parser->at++;
    skip_whitespace(parser);
    if (next_is(parser, type == JSON_OBJECT ? '}' : ']')) {
        return close_container(parser);
    }
    return type == JSON_OBJECT ? parse_key(parser) : STEP_VALUE;
}

static enum step done_if(bool parsed)
{
    return parsed ? STEP_DONE : STEP_FAILED;
}

/* A whole value, or the beginning of an object or array. */
static enum step parse_value(struct parser *parser)
{
    skip_whitespace(parser);
    if (parser->at == parser->end) {
        fail(parser, parser->at, error_end);
        return STEP_FAILED;
    }
    if (parser->depth > 0) {
        parser->document->tokens[parser->open[parser->depth - 1]].count++;
    }
    switch (*parser->at) {
    case '{':
        return open_container(parser, JSON_OBJECT);
    case '[':
        return open_container(parser, JSON_ARRAY);
    case '"':
        return done_if(parse_string(parser));
    case 't':
        return done_if(parse_literal(parser, JSON_TRUE, TEXT("true")));
    case 'f':
        return done_if(parse_literal(parser, JSON_FALSE, TEXT("false")));
    case 'n':
        return done_if(parse_literal(parser, JSON_NULL, TEXT("null")));
    default:
        if (*parser->at == '-' || (*parser->at >= '0' && *parser->at <= '9')) {
            return done_if(parse_number(parser));
        }
        fail(parser, parser->at, "value expected");
        return STEP_FAILED;
    }
}

/* Behind a value inside an object or array: the next one, or the end of it. */
static enum step continue_container(struct parser *parser)
{
    bool object = parser->document->tokens[parser->open[parser->depth - 1]].type == JSON_OBJECT;
    skip_whitespace(parser);
    if (next_is(parser, ',')) {
        parser->at++;
        return object ? parse_key(parser) : STEP_VALUE;
    }
    if (next_is(parser, object ? '}' : ']')) {
        return close_container(parser);
    }
    fail_expected(parser, object ? "comma or } expected" : "comma or ] expected");
    return STEP_FAILED;
}

static bool parse_text(struct parser *parser)
{
    enum step step = STEP_VALUE;
    while (step == STEP_VALUE) {
        step = parse_value(parser);
        while (step == STEP_DONE && parser->depth > 0) {
            step = continue_container(parser);
        }
    }
    if (step == STEP_FAILED) {
        return false;
    }
    skip_whitespace(parser);
    if (parser->at < parser->end) {
        return fail(parser, parser->at, "bytes after the value");
    }
    return true;
}

static bool parse_checked_size(struct parser *parser)
{
    static const char byte_order_mark[] = {'\xEF', '\xBB', '\xBF'};
    if ((size_t)(parser->end - parser->at) >= sizeof(byte_order_mark) &&
        memcmp(parser->at, byte_order_mark, sizeof(byte_order_mark)) == 0) {
        return fail(parser, parser->at, "byte order mark");
    }
    skip_whitespace(parser);
    if (parser->at == parser->end) {
        return fail(parser, parser->at, "empty text");
    }
    return parse_text(parser);
}

bool json_parse(struct json_document *document, const char *text, size_t size,
                struct json_error *error)
{
    document->text = text;
    document->token_count = 0;
    /* Offsets and indices are 32 bits wide. */
    if (size == 0 || size >= UINT32_MAX) {
        error->what = size == 0 ? "empty text" : "text too long";
        error->offset = 0;
        return false;
    }
    struct parser parser;
    parser.document = document;
    parser.at = text;
    parser.end = text + size;
    parser.error = error;
    parser.depth = 0;
    bool parsed = parse_checked_size(&parser);
    if (!parsed) {
        document->token_count = 0;
    }
    return parsed;
}
