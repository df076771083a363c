/* Header fields: which are known, what their bytes may be, lists, and the verdict on
 * Transfer-Encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/fields.h"

static struct text exact(const char *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    return (struct text){copy, size};
}

static void free_exact(struct text text)
{
    free((void *)(uintptr_t)text.data);
}

static enum field field_of(const char *name)
{
    struct text text = exact(name, strlen(name));
    enum field field = field_by_name(text);
    free_exact(text);
    return field;
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum field field;
    } known[] = {
        {"Host", FIELD_HOST},
        {"Expect", FIELD_EXPECT},
        {"Upgrade", FIELD_UPGRADE},
        {"Connection", FIELD_CONNECTION},
        {"Content-Type", FIELD_CONTENT_TYPE},
        {"Authorization", FIELD_AUTHORIZATION},
        {"Content-Length", FIELD_CONTENT_LENGTH},
        {"Idempotency-Key", FIELD_IDEMPOTENCY_KEY},
        {"Content-Encoding", FIELD_CONTENT_ENCODING},
        {"Transfer-Encoding", FIELD_TRANSFER_ENCODING},
    };
    const size_t count = sizeof(known) / sizeof(known[0]);
    assert_int_equal(count, FIELD_COUNT); /* each is here */
    for (size_t i = 0; i < count; i++) {
        char name[32];
        strcpy(name, known[i].name);
        const size_t size = strlen(name);
        assert_int_equal(field_of(name), known[i].field);
        for (size_t at = 0; at < size; at++) {
            char kept = name[at];
            if (kept != '-') {
                name[at] = (char)(kept ^ 0x20); /* another case */
                assert_int_equal(field_of(name), known[i].field);
            }
            name[at] = '+';
            assert_int_equal(field_of(name), FIELD_OTHER);
            name[at] = '_';
            assert_int_equal(field_of(name), FIELD_OTHER);
            name[at] = kept;
        }
        name[size - 1] = '\0';
        assert_int_equal(field_of(name), FIELD_OTHER);
        strcat(strcpy(name, known[i].name), "s");
        assert_int_equal(field_of(name), FIELD_OTHER);
    }
    assert_int_equal(field_of(""), FIELD_OTHER);
}

static void bytes(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 40; at++) {
            char value[40];
            memset(value, 'a', sizeof(value));
            value[at] = (char)byte;
            bool allowed = (byte >= 0x20 && byte != 0x7f) || byte == '\t';
            assert_true(field_bytes_allowed((struct text){value, sizeof(value)}) == allowed);
        }
    }
    assert_true(field_bytes_allowed((struct text){NULL, 0}));
}

static void trimming(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},    {" ", ""},    {" \t ", ""},         {"a", "a"},
        {" a", "a"}, {"a\t", "a"}, {"\t a b\t ", "a b"}, {"\va\v", "\va\v"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text text = exact(cases[i][0], strlen(cases[i][0]));
        struct text trimmed = field_trim(text);
        assert_true(text_equal(trimmed, (struct text){cases[i][1], strlen(cases[i][1])}));
        free_exact(text);
    }
}

static void lists(void **state)
{
    (void)state;
    static const char *const good[] = {"close",   "CLOSE",     " close ",       "close,a",
                                       "a,close", "a , close", "a,\tclose\t,b", ",close",
                                       "close,",  ",,close,,", "closed, close"};
    static const char *const bad[] = {"",        " ",       ",",         ",,",
                                      "closed",  "xclose",  "clos",      "a close",
                                      "close a", "close;a", "\"close\"", "clo,se"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct text text = exact(good[i], strlen(good[i]));
        if (!field_list_has(text, TEXT("close")))
            fail_msg("close is in \"%s\"", good[i]);
        free_exact(text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct text text = exact(bad[i], strlen(bad[i]));
        if (field_list_has(text, TEXT("close")))
            fail_msg("close is not in \"%s\"", bad[i]);
        free_exact(text);
    }
}

static void expect_coding(const char *value, size_t size, enum transfer_coding coding)
{
    struct text text = exact(value, size);
    enum transfer_coding got = transfer_coding_of(text);
    if (got != coding)
        fail_msg("\"%.*s\": %d, not %d", (int)size, value, (int)got, (int)coding);
    free_exact(text);
}

static void codings(void **state)
{
    (void)state;
    static const char *const chunked[] = {"chunked", "CHUNKED", "Chunked", " chunked\t"};
    static const char *const other[] = {"gzip",          "identity",        "gzip, chunked",
                                        "gzip,chunked",  "a\t,\tchunked",   "xchunked",
                                        "chunkedx",      "chunked;a=b",     "chunked ; a=b",
                                        "gzip;a=b",      "gzip;a=\"b c\"",  "gzip;a=b;c=d, chunked",
                                        "gzip, deflate", "!#$%&'*+-.^_`|~", "chunked-2"};
    static const char *const malformed[] = {"",
                                            " ",
                                            "\t",
                                            ",",
                                            "chunked,",
                                            ",chunked",
                                            "gzip,,chunked",
                                            "gzip, ,chunked",
                                            "gzip,",
                                            "chunked, chunked",
                                            "chunked,gzip",
                                            "chunked, identity",
                                            "gzip, chunked, chunked",
                                            "chunked chunked",
                                            "x chunked",
                                            "\"chunked\"",
                                            "chunked/1",
                                            "(chunked)",
                                            "chunked;",
                                            "chunked;a",
                                            "chunked=a",
                                            "gzip;",
                                            "gzip;a",
                                            "gzip a=b",
                                            "\vchunked",
                                            "chunked\f",
                                            "chunked\xa0",
                                            ("\xef\xbb\xbf"
                                             "chunked"),
                                            "chunked;a=b, gzip",
                                            "{chunked}",
                                            "chunked:"};
    for (size_t i = 0; i < sizeof(chunked) / sizeof(chunked[0]); i++)
        expect_coding(chunked[i], strlen(chunked[i]), CODING_CHUNKED);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        expect_coding(other[i], strlen(other[i]), CODING_OTHER);
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        expect_coding(malformed[i], strlen(malformed[i]), CODING_MALFORMED);
    expect_coding("chunked\0", 8, CODING_MALFORMED);
    expect_coding("\0chunked", 8, CODING_MALFORMED);
    expect_coding("gzip;a=\0", 8, CODING_MALFORMED);
    /* Never chunked by one wrong byte. */
    for (size_t at = 0; at < 7; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char value[] = "chunked";
            if (byte == (value[at] | 0x20) || byte == (value[at] & ~0x20))
                continue;
            value[at] = (char)byte;
            struct text text = exact(value, 7);
            assert_int_not_equal(transfer_coding_of(text), CODING_CHUNKED);
            free_exact(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(bytes),   cmocka_unit_test(trimming),
        cmocka_unit_test(lists), cmocka_unit_test(codings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
