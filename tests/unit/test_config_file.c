/* The config file: what is read from it, and every error's exact words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "config/server_options.h"
#include "config_fixture.h"

static void test_file_values(void **state)
{
    struct fixture *fixture = *state;
    struct config *config = fixture->config;
    assert_int_equal(read_text(fixture, "\xef\xbb\xbf# a comment\r\n"
                                        "; another\n"
                                        "\n"
                                        "  [strategy.embedded]  ; behind\n"
                                        "file=a;b = c ; comment\n"
                                        "    concurrency : 64\r\n"
                                        "\toffset\t=\t-9223372036854775808\t\n"
                                        "[server]# behind\n"
                                        "auth = off\n"
                                        "[strategy.embedded]\n"
                                        "batching = No\n"
                                        "color=red\n"
                                        "balanced =\n"
                                        "bootstrap.servers = x"),
                     0);
    assert_string_equal(errors_of(fixture), "");
    assert_string_equal(config_string(config, &fake_table, FILE_NAME), "a;b = c");
    assert_int_equal(config_integer(config, &fake_table, CONCURRENCY), 64);
    assert_true(config_integer(config, &fake_table, OFFSET) == INT64_MIN);
    assert_int_equal(config_choice(config, &server_options, SERVER_AUTH), SERVER_AUTH_OFF);
    assert_false(config_boolean(config, &fake_table, BATCHING));
    assert_int_equal(config_choice(config, &fake_table, COLOR), 0);
    assert_string_equal(config_string(config, &fake_table, BALANCED), "");
    assert_true(config_is_set(config, &fake_table, BALANCED));
    assert_string_equal(config_string(config, &fake_table, DOTTED), "x");
    assert_int_equal(config_finish(config), 0);
}

/* inih itself would cut both after 200 bytes. */
static void test_long_line(void **state)
{
    struct fixture *fixture = *state;
    const size_t line_size = 16 * 1024;
    char *text = malloc(line_size + 64);
    assert_non_null(text);
    strcpy(text, "[strategy.embedded]\n");
    char *line = text + strlen(text);
    memset(line, 'x', line_size);
    memcpy(line, "file=", 5);
    line[line_size] = '\0';
    assert_int_equal(read_text(fixture, text), 0);
    assert_int_equal(strlen(config_string(fixture->config, &fake_table, FILE_NAME)), line_size - 5);

    strcpy(line + line_size, "x\n;");
    assert_int_equal(read_text(fixture, text), 1);
    assert_string_equal(errors_of(fixture),
                        "test.conf:2: the line has 16385 bytes; at most 16384 are allowed\n");
    free(text);
}

static void test_hash_in_value_is_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "[strategy.embedded]\nfile = a # b\npassword = a # b\n"),
                     0);
    assert_string_equal(config_string(fixture->config, &fake_table, FILE_NAME), "a # b");
    assert_string_equal(
        warnings_of(fixture),
        "test.conf:2: file: '#' is part of the value; a comment behind a value begins with ' ;'\n");
}

/* --- what is wrong in a file ------------------------------------------------------------------ */

struct bad_file {
    const char *text;
    const char *errors;
};

static const struct bad_file bad_files[] = {
    {"[server]\n    concurency = 5\n", "test.conf:2: unknown key 'concurency' in [server]\n"
                                       "    concurency = …\n"},
    {"[strategy.embedded]\n  concurency = 5\n",
     "test.conf:2: unknown key 'concurency' in [strategy.embedded]\n"
     "    concurency = …\n"
     "    did you mean 'concurrency'?\n"},
    {"[strategy.embedded]\nocncurrency = 5\n",
     "test.conf:2: unknown key 'ocncurrency' in [strategy.embedded]\n"
     "    ocncurrency = …\n"
     "    did you mean 'concurrency'?\n"},
    {"[strategy.embedded]\nListen = 5\n",
     "test.conf:2: unknown key 'Listen' in [strategy.embedded]\n    Listen = …\n"},
    {"[strategy.embedded]\nlisten = 5\n",
     "test.conf:2: unknown key 'listen' in [strategy.embedded]\n"
     "    listen = …\n"
     "    did you mean 'listen' in [server]?\n"},
    {"[sever]\nlisten = 5\nlisten = 6\n", "test.conf:1: unknown section [sever]\n"
                                          "    [sever]\n"
                                          "    did you mean [server]?\n"},
    {"[strategy.asynk]\n", "test.conf:1: unknown section [strategy.asynk]\n"
                           "    [strategy.asynk]\n"
                           "    did you mean [strategy.async]?\n"},
    {"[zzzzzzzz]\n", "test.conf:1: unknown section [zzzzzzzz]\n    [zzzzzzzz]\n"},
    {"[ server ]\n", "test.conf:1: unknown section [ server ]\n"
                     "    [ server ]\n"
                     "    did you mean [server]?\n"},
    {"[server\nlisten = x\n", "test.conf:1: ']' is missing\n    [server\n"},
    {"[server] x\n", "test.conf:1: text behind ']'\n    [server] …\n"},
    {"[]\n", "test.conf:1: the section has no name\n    []\n"},
    {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
     "test.conf:1: the section's name is too long\n"
     "    [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n"},
    {"listen = x\n", "test.conf:1: the key stands before the first [section]\n    listen = …\n"},
    {"[server]\n= x\n", "test.conf:2: the key is missing\n    = …\n"},
    {"[server]\nlisten\n", "test.conf:2: expected 'key = value' or '[section]'\n    listen\n"},
    {"[server]\nlisten ; = x\n",
     "test.conf:2: expected 'key = value' or '[section]'\n    listen …\n"},
    {"[server]\nlisten = 127.0.0.1:1\n    127.0.0.1:2\n",
     "test.conf:3: unknown key '127.0.0.1' in [server]\n    127.0.0.1 = …\n"},
    {"[server]\nauth=off\n[server]\n\nauth = off\n",
     "test.conf:5: duplicate key 'auth' in [server], first on line 2\n    auth = off\n"},
    {"[strategy.embedded]\nconcurrency = 0\n",
     "test.conf:2: concurrency: must be a whole number from 1 to 64 threads, not '0'\n"
     "    concurrency = 0\n"},
    {"[strategy.embedded]\nconcurrency = 65\n",
     "test.conf:2: concurrency: must be a whole number from 1 to 64 threads, not '65'\n"
     "    concurrency = 65\n"},
    {"[strategy.embedded]\nconcurrency = 08\n",
     "test.conf:2: concurrency: must be a whole number from 1 to 64 threads, not '08'\n"
     "    concurrency = 08\n"},
    {"[strategy.embedded]\nconcurrency =\n",
     "test.conf:2: concurrency: must be a whole number from 1 to 64 threads, not ''\n"
     "    concurrency =\n"},
    {"[strategy.embedded]\noffset = 9223372036854775808\n",
     "test.conf:2: offset: must be a whole number from -9223372036854775808 to "
     "9223372036854775807, not '9223372036854775808'\n"
     "    offset = 9223372036854775808\n"},
    {"[strategy.embedded]\nbatching = maybe\n",
     "test.conf:2: batching: must be on or off, not 'maybe'\n    batching = maybe\n"},
    {"[strategy.embedded]\ncolor = blue\n",
     "test.conf:2: color: must be one of red, green, not 'blue'\n    color = blue\n"},
    {"[strategy.embedded]\nbalanced = odd\n",
     "test.conf:2: balanced: is odd\n    balanced = odd\n"},
    {"[server]\nlisten = localhost\n",
     "test.conf:2: listen: 'localhost' has no port: write host:port, [IPv6]:port or unix:/path\n"
     "    listen = localhost\n"},
    {"[strategy.embedded]\nfile = a\rb\n", "test.conf:2: control byte 0x0d at column 9\n"},
    /* Secrets are never shown. */
    {"[strategy.embedded]\npassword = a\npassword = hunter2\n",
     "test.conf:3: duplicate key 'password' in [strategy.embedded], first on line 2\n"
     "    password = …\n"},
    {"[strategy.embedded]\npasword = hunter2\n",
     "test.conf:2: unknown key 'pasword' in [strategy.embedded]\n"
     "    pasword = …\n"
     "    did you mean 'password'?\n"},
    {"[server]\npassword = hunter2\n", "test.conf:2: unknown key 'password' in [server]\n"
                                       "    password = …\n"
                                       "    did you mean 'password' in [strategy.embedded]?\n"},
    {"[strategy.embedded]\npassword = hunter\n  2\n",
     "test.conf:3: expected 'key = value' or '[section]'\n"},
    {"[strategy.embedded]\npassword_file = /p\npassword = hunter2\n",
     "test.conf:3: 'password' and 'password_file' exclude each other; the other is on line 2\n"
     "    password = …\n"},
    {"[strategy.embedded]\npassword = hunter2\npassword_file = /p\n",
     "test.conf:3: 'password' and 'password_file' exclude each other; the other is on line 2\n"
     "    password_file = /p\n"},
    {"[strategy.embedded]\npassword_file =\n",
     "test.conf:2: password_file: must be the path of a file\n    password_file =\n"},
    {"[server]\napi_keys = a,\xc3\xa4\n",
     "test.conf:2: api_keys: key 2 of the list is not visible ASCII\n    api_keys = …\n"},
    {"[server]\napi_keys = ,\n",
     "test.conf:2: api_keys: there is no key in the list\n    api_keys = …\n"},
    /* Nor what could be one: a key mistyped beyond recognition, a delimiter forgotten. */
    {"[strategy.embedded]\npwd=hunter2\n",
     "test.conf:2: unknown key 'pwd' in [strategy.embedded]\n    pwd = …\n"},
    {"[server]\nurl=mysql://u:hunter2@h/db\n",
     "test.conf:2: unknown key 'url' in [server]\n    url = …\n"},
    {"[server]\nurl : mysql://u:hunter2@h/db\n",
     "test.conf:2: unknown key 'url' in [server]\n    url = …\n"},
    {"[strategy.embedded]\npassword hunter2\n",
     "test.conf:2: expected 'key = value' or '[section]'\n    password …\n"},
    {"[strategy.embedded]\npassword hunter2==\n",
     "test.conf:2: unknown key 'password …' in [strategy.embedded]\n    password …\n"},
    {"[strategy.embedded]\npwd = hunter\n  2\n",
     "test.conf:2: unknown key 'pwd' in [strategy.embedded]\n    pwd = …\n"
     "test.conf:3: expected 'key = value' or '[section]'\n"},
    {"[strategy.embedded] password = hunter2\n",
     "test.conf:1: text behind ']'\n    [strategy.embedded] …\n"},
    {"[password = hunter2\n", "test.conf:1: ']' is missing\n    [password …\n"},
    {"password hunter2=\n",
     "test.conf:1: the key stands before the first [section]\n    password …\n"},
    /* All at once. */
    {"x\n[server]\nauth = maybe\n[nowhere]\nz = 1\n[server]\nstudy_api = 2\n",
     "test.conf:1: expected 'key = value' or '[section]'\n    x\n"
     "test.conf:3: auth: must be one of keys, off, not 'maybe'\n    auth = maybe\n"
     "test.conf:4: unknown section [nowhere]\n    [nowhere]\n"
     "test.conf:7: study_api: must be on or off, not '2'\n    study_api = 2\n"},
};

static void test_bad_files(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        config_destroy(fixture->config);
        fixture->config = config_create(fake_tables);
        assert_non_null(fixture->config);
        size_t errors = read_text(fixture, bad_files[i].text);
        assert_string_equal(errors_of(fixture), bad_files[i].errors);
        assert_int_equal(errors, count_of(bad_files[i].errors, "test.conf:"));
    }
}

static void test_nul_byte(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] = "[server]\nauth = off\0 # hunter2\nstudy_api = on\n";
    write_file(FIXTURE_PATH, text, sizeof text - 1);
    assert_int_equal(config_read_file(fixture->config, FIXTURE_PATH), 1);
    assert_string_equal(errors_of(fixture), "test.conf:2: control byte 0x00 at column 11\n");
    assert_false(config_is_set(fixture->config, &server_options, SERVER_AUTH));
    assert_true(config_boolean(fixture->config, &server_options, SERVER_STUDY_API));
}

static void test_unreadable_files(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(config_read_file(fixture->config, "nowhere.conf"), 1);
    assert_int_equal(config_read_file(fixture->config, "."), 1);
    char *large = malloc(1024 * 1024 + 1);
    assert_non_null(large);
    memset(large, '\n', 1024 * 1024 + 1);
    write_file(FIXTURE_PATH, large, 1024 * 1024 + 1);
    assert_int_equal(config_read_file(fixture->config, FIXTURE_PATH), 1);
    write_file(FIXTURE_PATH, large, 1024 * 1024);
    assert_int_equal(config_read_file(fixture->config, FIXTURE_PATH), 0);
    free(large);
    assert_string_equal(errors_of(fixture), "nowhere.conf: cannot read: No such file or directory\n"
                                            ".: cannot read: Is a directory\n"
                                            "test.conf: has more than 1048576 bytes\n");
}

static void test_sections_not_built_in(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_text(fixture, "[strategy.async]\nanything = 1\n"
                                        "[kafka]\nbootstrap.servers = x\nbootstrap.servers = y\n"),
                     0);
    assert_string_equal(errors_of(fixture), "");
    assert_string_equal(warnings_of(fixture),
                        "test.conf:1: [strategy.async]: this binary was built without it; ignored\n"
                        "test.conf:3: [kafka]: this binary was built without it; ignored\n");
    assert_false(config_is_set(fixture->config, &fake_table, DOTTED));
}

static void test_errors_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    char text[64 + 150 * 2] = "[server]\n";
    for (size_t i = 0; i < 150; i++) {
        strcat(text, "x\n");
    }
    assert_int_equal(read_text(fixture, text), 150);
    const char *errors = errors_of(fixture);
    assert_int_equal(count_of(errors, "test.conf:"), 100);
    assert_non_null(strstr(errors, "\nand 50 more\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(test_file_values),
        CONFIG_TEST(test_long_line),
        CONFIG_TEST(test_hash_in_value_is_told),
        CONFIG_TEST(test_bad_files),
        CONFIG_TEST(test_nul_byte),
        CONFIG_TEST(test_unreadable_files),
        CONFIG_TEST(test_sections_not_built_in),
        CONFIG_TEST(test_errors_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
