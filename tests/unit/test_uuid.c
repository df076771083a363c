/* Reservation ids: their form, their order under every clock, and what they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uuid.h"
#include "uuid_sha1.h"

static const uint8_t zeros[10];
static const uint8_t ones[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

static void assert_text(const struct resv_id *id, const char *expected)
{
    char text[UUID_TEXT_BYTES + 1];
    memset(text, '#', sizeof(text));
    uuid_format(id, text);
    assert_int_equal(text[UUID_TEXT_BYTES], '#');
    text[UUID_TEXT_BYTES] = '\0';
    assert_string_equal(text, expected);
}

static struct resv_id parsed(const char *text)
{
    struct resv_id id = {{0}};
    assert_true(uuid_parse((struct text){text, strlen(text)}, &id));
    return id;
}

static int64_t timestamp_ms(const struct resv_id *id)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | id->bytes[i];
    }
    return ms;
}

static int sequence(const struct resv_id *id)
{
    return (id->bytes[6] & 0x0F) << 8 | id->bytes[7];
}

/* --- text --------------------------------------------------------------------------------- */

static void test_parse_and_format(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        /* RFC 9562, A.4 and A.6. */
        "2ed6657d-e927-568b-95e1-2665a8aea6a2",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "01234567-89ab-cdef-0123-456789abcdef",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resv_id id = parsed(rows[i]);
        assert_text(&id, rows[i]);
    }
    struct resv_id upper = parsed("01234567-89AB-CDEF-0123-456789aBcDeF");
    assert_text(&upper, "01234567-89ab-cdef-0123-456789abcdef");
    assert_int_equal(upper.bytes[4], 0x89);
    assert_int_equal(upper.bytes[15], 0xef);
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "01234567-89ab-cdef-0123-456789abcde",
        "01234567-89ab-cdef-0123-456789abcdef0",
        "0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef0123",
        "{1234567-89ab-cdef-0123-456789abcdef",
        "01234567_89ab-cdef-0123-456789abcdef",
        "0123456-789ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-012-3456789abcdef",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "g1234567-89ab-cdef-0123-456789abcdef",
        " 1234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcd f",
        "+1234567-89ab-cdef-0123-456789abcdef",
        "0x234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcd\xc3\xa9",
        "------------------------------------",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resv_id id;
        memset(&id, 0x77, sizeof(id));
        struct resv_id before = id;
        size_t size = strlen(rows[i]);
        char *exact = malloc(size + (size == 0));
        assert_non_null(exact);
        memcpy(exact, rows[i], size);
        if (uuid_parse((struct text){exact, size}, &id)) {
            fail_msg("accepted: %s", rows[i]);
        }
        free(exact);
        assert_memory_equal(&id, &before, sizeof(id));
    }
    struct resv_id id;
    assert_false(uuid_parse((struct text){NULL, 0}, &id));
}

/* Each of the 36 places, with each byte there is. */
static void test_parse_judges_every_byte(void **state)
{
    (void)state;
    char text[] = "01234567-89ab-cdef-0123-456789abcdef";
    for (size_t place = 0; place < UUID_TEXT_BYTES; place++) {
        char before = text[place];
        for (int byte = 0; byte < 256; byte++) {
            text[place] = (char)byte;
            bool expected =
                before == '-' ? byte == '-' : (byte != 0 && strchr("0123456789abcdefABCDEF", byte));
            struct resv_id id;
            if (uuid_parse((struct text){text, UUID_TEXT_BYTES}, &id) != expected) {
                fail_msg("byte %d at %zu", byte, place);
            }
        }
        text[place] = before;
    }
}

/* --- version 7 ---------------------------------------------------------------------------- */

static void test_v7_layout(void **state)
{
    (void)state;
    /* RFC 9562, A.6: 2022-02-22T19:22:22Z, rand_a 0xCC3 less the top bit, which a sequence begins
     * without. */
    static const uint8_t random[10] = {0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F, 0x0C, 0xC3};
    struct uuid_v7_state v7 = {0};
    struct resv_id id;
    uuid_v7(&v7, 0x017F22E279B0, random, &id);
    assert_text(&id, "017f22e2-79b0-74c3-98c4-dc0c0c07398f");
    /* Version and variant stay whatever the random bytes are. */
    struct uuid_v7_state other = {0};
    uuid_v7(&other, 1, zeros, &id);
    assert_text(&id, "00000000-0001-7000-8000-000000000000");
    uuid_v7(&other, 2, ones, &id);
    assert_text(&id, "00000000-0002-77ff-bfff-ffffffffffff");
    uuid_v7(&other, (1LL << 48) - 1, zeros, &id);
    assert_text(&id, "ffffffff-ffff-7000-8000-000000000000");
}

static void test_v7_counts_within_a_millisecond(void **state)
{
    (void)state;
    struct uuid_v7_state v7 = {0};
    struct resv_id id;
    uuid_v7(&v7, 5, zeros, &id);
    assert_int_equal(sequence(&id), 0);
    uuid_v7(&v7, 5, ones, &id);
    assert_int_equal(sequence(&id), 1);
    assert_int_equal(timestamp_ms(&id), 5);
    uuid_v7(&v7, 6, ones, &id);
    assert_int_equal(sequence(&id), 0x7FF);
    assert_int_equal(timestamp_ms(&id), 6);
}

static void test_v7_clock_steps_back(void **state)
{
    (void)state;
    struct uuid_v7_state v7 = {0};
    struct resv_id id;
    uuid_v7(&v7, 1000, zeros, &id);
    static const int64_t clocks_ms[] = {999, 1, 0, -1, INT64_MIN, 1000};
    for (int i = 0; i < 6; i++) {
        uuid_v7(&v7, clocks_ms[i], zeros, &id);
        assert_int_equal(timestamp_ms(&id), 1000);
        assert_int_equal(sequence(&id), i + 1);
    }
    uuid_v7(&v7, 1001, zeros, &id);
    assert_int_equal(timestamp_ms(&id), 1001);
    assert_int_equal(sequence(&id), 0);
}

static void test_v7_borrows_the_next_millisecond(void **state)
{
    (void)state;
    struct uuid_v7_state v7 = {0};
    struct resv_id id;
    for (int i = 0; i <= 0xFFF; i++) {
        uuid_v7(&v7, 1000, zeros, &id);
        assert_int_equal(timestamp_ms(&id), 1000);
        assert_int_equal(sequence(&id), i);
    }
    uuid_v7(&v7, 1000, zeros, &id);
    assert_int_equal(timestamp_ms(&id), 1001);
    assert_int_equal(sequence(&id), 0);
    /* The clock arrives where it was overtaken: no id comes twice. */
    uuid_v7(&v7, 1001, zeros, &id);
    assert_int_equal(timestamp_ms(&id), 1001);
    assert_int_equal(sequence(&id), 1);
}

/* A clock that stands, runs, jumps and steps back, 2 million ids: each greater than the last. */
static void test_v7_is_monotonic(void **state)
{
    (void)state;
    struct uuid_v7_state v7 = {0};
    struct resv_id last = {{0}};
    uint64_t random_state = 1;
    int64_t wall_ms = 1795375800000;
    for (int i = 0; i < 2000000; i++) {
        uint8_t random[10];
        for (size_t j = 0; j < sizeof(random); j++) {
            random_state = random_state * 6364136223846793005U + 1442695040888963407U;
            random[j] = (uint8_t)(random_state >> 56);
        }
        if (random[0] == 0) {
            wall_ms += random[1] < 200 ? 1 : random[1] < 230 ? 5000 : -4000;
        }
        struct resv_id id;
        uuid_v7(&v7, wall_ms, random, &id);
        if (memcmp(&id, &last, sizeof(id)) <= 0) {
            fail_msg("not greater, at %d", i);
        }
        last = id;
    }
}

/* --- version 5 ---------------------------------------------------------------------------- */

/* RFC 9562, A.4: www.example.com in the namespace of DNS. */
static void test_sha1_of_the_rfc(void **state)
{
    (void)state;
    struct resv_id dns = parsed("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    struct resv_id id;
    uuid_sha1(dns.bytes, "www.example.com", 15, id.bytes);
    assert_text(&id, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

/* Made with Python's uuid.uuid5. A change here would lose every stored key: it must not happen. */
static void test_v5_never_changes(void **state)
{
    (void)state;
    static char longest[UUID_KEY_BYTES_MAX];
    memset(longest, '~', sizeof(longest));
    const struct {
        int64_t member_id;
        struct text key;
        const char *id;
    } rows[] = {
        {7, TEXT("abc"), "6d7318ad-116a-50df-a042-a9f4a631bdcf"},
        {1, TEXT("7:x"), "e43fe9d8-b369-52f5-82b8-18d4a51d5eaf"},
        {17, TEXT("x"), "31e01e9d-7556-525c-a0f8-8778db9a5516"},
        {1, TEXT(""), "d73a981f-44e0-5ba8-afa2-0ad21554845a"},
        {RESV_INTEGER_MAX, {longest, sizeof(longest)}, "a21832db-60b9-5d0b-9460-d829f7f84477"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resv_id id;
        uuid_v5_of_key(rows[i].member_id, rows[i].key, &id);
        assert_text(&id, rows[i].id);
    }
}

/* Where member ends and key begins is part of the name. */
static void test_v5_keeps_members_apart(void **state)
{
    (void)state;
    struct resv_id first, second;
    uuid_v5_of_key(1, TEXT("7x"), &first);
    uuid_v5_of_key(17, TEXT("x"), &second);
    assert_memory_not_equal(&first, &second, sizeof(first));
    uuid_v5_of_key(1, TEXT("7:x"), &first);
    uuid_v5_of_key(17, TEXT(":x"), &second);
    assert_memory_not_equal(&first, &second, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_parse_judges_every_byte),
        cmocka_unit_test(test_v7_layout),
        cmocka_unit_test(test_v7_counts_within_a_millisecond),
        cmocka_unit_test(test_v7_clock_steps_back),
        cmocka_unit_test(test_v7_borrows_the_next_millisecond),
        cmocka_unit_test(test_v7_is_monotonic),
        cmocka_unit_test(test_sha1_of_the_rfc),
        cmocka_unit_test(test_v5_never_changes),
        cmocka_unit_test(test_v5_keeps_members_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
