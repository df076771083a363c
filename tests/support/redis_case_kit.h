/* What the Redis cases are written with: names, calls, what they must bring. */
#ifndef TESTS_SUPPORT_REDIS_CASE_KIT_H
#define TESTS_SUPPORT_REDIS_CASE_KIT_H

#include "redis_cases.h"

/* The lists that redis_cases_all is made of. */
extern const struct redis_case redis_cases_commands[];
extern const struct redis_case redis_cases_hashes[];
extern const struct redis_case redis_cases_values[];
extern const struct redis_case redis_cases_link[];

/* All arguments as one command; what it replies is what the script returns. */
extern const struct redis_script case_command;
/* The same by redis.pcall. */
extern const struct redis_script case_pcommand;
/* A value that is named by the argument. */
extern const struct redis_script case_value;
/* SET before, INCRBY (which fails), SET after. KEYS: one. */
extern const struct redis_script case_halfway;
/* The same, but the failure is caught; returns its words and what is there then. */
extern const struct redis_script case_caught;
/* What a lock does. KEYS: one. ARGV: value, ms. */
extern const struct redis_script case_take;
/* KEYS: one. ARGV: value. */
extern const struct redis_script case_let_go;
/* Lua's view of what a command (ARGV) replies: type, and what is in it. */
extern const struct redis_script case_look;
/* How many KEYS and ARGV there are, and the last of each. */
extern const struct redis_script case_count;

/* HSCAN from the first page to the last, with fields that come and go meanwhile: "gone<n>" and
 * "new<n>". Returns how many fields that begin with k there were, and how many pages. KEYS: one.
 * ARGV: COUNT. */
extern const struct redis_script case_scan;

#define CASE_REPLY_MAX 700
#define CASE_BYTES_MAX 4096
#define CASE_WORDS_MAX 400
#define CASE_NAME_SIZE 64

/* "prefix:case:7": another one each time. Closed by NUL. */
struct case_name {
    char text[CASE_NAME_SIZE];
};
struct case_name case_name(struct redis_cases *cases);

/* A call, and a copy of what it brought. In place until it is done. */
struct case_call {
    struct redis_call call;
    bool done;
    enum redis_result result;
    size_t count;
    int64_t integers[CASE_REPLY_MAX];
    struct redis_text texts[CASE_REPLY_MAX]; /* in `bytes` */
    char bytes[CASE_BYTES_MAX];
    size_t used;
};

/* Starts it: words are closed by NUL. A key of NULL: none. */
void case_call_start(struct redis_cases *cases, struct case_call *call,
                     const struct redis_script *script, const char *key, const char *const *words,
                     size_t count);
void case_call_start_texts(struct redis_cases *cases, struct case_call *call,
                           const struct redis_script *script, const struct redis_text *keys,
                           size_t keys_count, const struct redis_text *arguments,
                           size_t arguments_count);
void case_call_finish(struct redis_cases *cases, struct case_call *call);

/* Runs a script, or a command, to its end; it is DONE or REFUSED. The same memory each time. */
struct case_call *case_run(struct redis_cases *cases, const struct redis_script *script,
                           const char *key, const char *const *words, size_t count);
#define CASE_RUN(cases, script, key, ...)                                                          \
    case_run(cases, script, key, (const char *const[]){__VA_ARGS__},                               \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
#define CASE_COMMAND(cases, ...) CASE_RUN(cases, &case_command, NULL, __VA_ARGS__)

/* It is DONE, and one value: this one. */
void case_is_integer(const struct case_call *call, int64_t integer);
void case_is_text(const struct case_call *call, const char *text);
void case_is_nil(const struct case_call *call);
/* It is DONE, and of so many values. */
void case_is_list(const struct case_call *call, size_t count);
void case_item_is_integer(const struct case_call *call, size_t index, int64_t integer);
void case_item_is_text(const struct case_call *call, size_t index, const char *text);
void case_item_is_nil(const struct case_call *call, size_t index);
/* It is REFUSED, by an error that begins like this. */
void case_is_refused(const struct case_call *call, const char *beginning);

#endif
