/* Integers of a parsed document, judged on their decimal digits so that no double rounds them. */
#include "json/json.h"

#include "resvd/assert.h"
#include "resvd/op.h"

/* RESV_INTEGER_MAX has so many decimal digits. */
#define INTEGER_DIGITS_MAX 16

/* Exponents are cut off here: far beyond any text's size in digits (32 bits), far below
 * overflow. */
#define EXPONENT_MAX 100000000000LL

/* A number as digits * 10^exponent, with neither leading nor trailing zeros in the digits. */
struct decimal {
    uint64_t digits;     /* meaningful while digit_count <= INTEGER_DIGITS_MAX */
    int64_t digit_count; /* 0 for zero */
    int64_t exponent;
    bool negative;
    bool fraction_part;
    bool exponent_part;
};

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static const char *read_mantissa(struct decimal *decimal, const char *at, const char *end)
{
    int64_t zeros = 0; /* held back: they count only when another digit follows */
    int64_t fraction_digits = 0;
    for (; at < end && (is_digit(*at) || *at == '.'); at++) {
        if (*at == '.') {
            decimal->fraction_part = true;
            continue;
        }
        fraction_digits += decimal->fraction_part;
        if (*at == '0') {
            zeros += decimal->digit_count > 0;
            decimal->exponent++;
            continue;
        }
        decimal->digit_count += zeros + 1;
        if (decimal->digit_count <= INTEGER_DIGITS_MAX) {
            for (; zeros > 0; zeros--) {
                decimal->digits *= 10;
            }
            decimal->digits = decimal->digits * 10 + (uint64_t)(*at - '0');
        }
        zeros = 0;
        decimal->exponent = 0;
    }
    decimal->exponent -= fraction_digits;
    return at;
}

static void read_exponent(struct decimal *decimal, const char *at, const char *end)
{
    if (at == end) {
        return;
    }
    decimal->exponent_part = true;
    at++; /* e */
    bool negative = *at == '-';
    if (*at == '-' || *at == '+') {
        at++;
    }
    int64_t exponent = 0;
    for (; at < end; at++) {
        if (exponent < EXPONENT_MAX) {
            exponent = exponent * 10 + (*at - '0');
        }
    }
    decimal->exponent += negative ? -exponent : exponent;
}

enum json_integer_state json_integer(const struct json_document *document, size_t token,
                                     int64_t *value)
{
    RESV_ASSERT(token < document->token_count);
    const struct json_token *number = &document->tokens[token];
    if (number->type != JSON_NUMBER) {
        return JSON_INTEGER_NOT_A_NUMBER;
    }
    const char *at = document->text + number->start;
    const char *end = at + number->size;
    struct decimal decimal = {.negative = *at == '-'};
    at = read_mantissa(&decimal, at + decimal.negative, end);
    read_exponent(&decimal, at, end);
    if (decimal.fraction_part && !decimal.exponent_part) {
        return JSON_INTEGER_FRACTION;
    }
    if (decimal.digit_count == 0) {
        *value = 0;
        return JSON_INTEGER_OK;
    }
    if (decimal.exponent < 0) {
        return JSON_INTEGER_FRACTION;
    }
    if (decimal.digit_count + decimal.exponent > INTEGER_DIGITS_MAX) {
        return JSON_INTEGER_TOO_LARGE;
    }
    for (; decimal.exponent > 0; decimal.exponent--) {
        decimal.digits *= 10;
    }
    if (decimal.digits > RESV_INTEGER_MAX) {
        return JSON_INTEGER_TOO_LARGE;
    }
    *value = decimal.negative ? -(int64_t)decimal.digits : (int64_t)decimal.digits;
    return JSON_INTEGER_OK;
}
