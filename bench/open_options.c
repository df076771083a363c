/* The options as a table: name, bounds and place of each. */
#include "open_options.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE  64
#define INTEGER_MAX 9007199254740991ULL /* 2^53 - 1, as in the API */

static const char usage[] =
    "usage: open_loop --url=URL --connections=N --rate=N --seconds=N --concerts=N\n"
    "                 --member-first=N --member-count=N --ids=FILE [--grace-seconds=N]\n"
    "\n"
    "Sends reservations at a fixed rate, whether they are answered or not: request i is planned\n"
    "at i/rate seconds, and its latency counts from there. One that is due while no connection is\n"
    "free waits in line. Prints one line: RESULT and JSON.\n"
    "\n"
    "  --url=URL            http://ADDRESS:PORT/PATH, the address as four numbers\n"
    "  --connections=N      kept open all the time, one request at a time on each (1..10000)\n"
    "  --rate=N             requests a second (1..1000000)\n"
    "  --seconds=N          how long requests are sent (0.001..3600)\n"
    "  --concerts=N         spread evenly over the concerts 1 to N (1..1000000)\n"
    "  --member-first=N     the first member's id\n"
    "  --member-count=N     so many members, in turn (1..1000000000)\n"
    "  --ids=FILE           the id of each accepted reservation is appended, 16 bytes each\n"
    "  --grace-seconds=N    how long answers are waited for after that (0..600, default 10)\n";

struct option {
    const char *name;
    size_t place; /* in struct open_options, a uint64_t */
    uint64_t minimum, maximum;
    unsigned decimals; /* 3: given in seconds, kept in milliseconds */
    bool optional;
};

#define PLACE(member) offsetof(struct open_options, member)
static const struct option integers[] = {
    {"connections", PLACE(connections), 1, 10000, 0, false},
    {"rate", PLACE(rate), 1, 1000000, 0, false},
    {"seconds", PLACE(load_ms), 1, 3600000, 3, false},
    {"concerts", PLACE(concerts), 1, 1000000, 0, false},
    {"member-first", PLACE(member_first), 1, INTEGER_MAX, 0, false},
    {"member-count", PLACE(member_count), 1, 1000000000, 0, false},
    {"grace-seconds", PLACE(grace_ms), 0, 600000, 3, true},
};
#define INTEGER_COUNT (sizeof integers / sizeof integers[0])

__attribute__((format(printf, 1, 2))) static _Noreturn void refuse(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "open_loop: ");
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "; open_loop --help says what there is\n");
    exit(EXIT_USAGE);
}

/* "1.25" with three decimals is 1250. False: it is none, has more decimals, or is too large. */
static bool parse_decimal(const char *text, unsigned decimals, uint64_t *value)
{
    unsigned left = decimals;
    bool behind_point = false;
    *value = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text != '\0'; text++) {
        if (*text == '.' && decimals > 0 && !behind_point && text[1] != '\0') {
            behind_point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || (behind_point && left-- == 0) || *value > INTEGER_MAX)
            return false;
        *value = *value * 10 + (uint64_t)(*text - '0');
    }
    for (; left > 0; left--)
        *value *= 10;
    return true;
}

static void read_integer(struct open_options *options, const struct option *option,
                         const char *text)
{
    uint64_t value;
    if (!parse_decimal(text, option->decimals, &value) || value < option->minimum ||
        value > option->maximum) {
        if (option->decimals == 0)
            refuse("--%s: \"%s\" is no integer from %" PRIu64 " to %" PRIu64, option->name, text,
                   option->minimum, option->maximum);
        refuse("--%s: \"%s\" is no number of seconds from %g to %g with at most %u decimals",
               option->name, text, (double)option->minimum / 1000, (double)option->maximum / 1000,
               option->decimals);
    }
    memcpy((char *)options + option->place, &value, sizeof value);
}

/* http://ADDRESS:PORT/PATH and nothing else. */
static void read_url(struct open_options *options, const char *url)
{
    static const char scheme[] = "http://";
    const char *authority = url + sizeof scheme - 1;
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        refuse("--url: \"%s\" does not begin with http://", url);
    const char *path = authority + strcspn(authority, "/");
    size_t size = (size_t)(path - authority);
    if (size >= sizeof options->authority)
        refuse("--url: \"%s\" has no ADDRESS:PORT such as 127.0.0.1:8080", url);
    memcpy(options->authority, authority, size);
    options->authority[size] = '\0';

    char host[OPEN_AUTHORITY_BYTES];
    memcpy(host, options->authority, sizeof host);
    char *colon = strchr(host, ':');
    uint64_t port;
    if (colon == NULL || !parse_decimal(colon + 1, 0, &port) || port == 0 || port > 65535)
        refuse("--url: \"%s\" has no port from 1 to 65535", url);
    *colon = '\0';
    options->address.sin_family = AF_INET;
    options->address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &options->address.sin_addr) != 1)
        refuse("--url: \"%s\" is no address of four numbers such as 127.0.0.1", host);

    if (*path == '\0')
        refuse("--url: \"%s\" has no path such as /api/reservations", url);
    if (strlen(path) >= sizeof options->path)
        refuse("--url: the path has over %zu bytes", sizeof options->path - 1);
    for (const char *at = path; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || *at == '#')
            refuse("--url: the path has a character that must be %%-encoded");
    strcpy(options->path, path);
}

/* The value of --name=value; NULL: it is another's. */
static const char *value_of(const char *argument, const char *name)
{
    size_t size = strlen(name);
    if (strncmp(argument, "--", 2) != 0 || strncmp(argument + 2, name, size) != 0 ||
        argument[2 + size] != '=')
        return NULL;
    return argument + 2 + size + 1;
}

static const struct option *find_integer(const char *argument, const char **value)
{
    for (size_t i = 0; i < INTEGER_COUNT; i++)
        if ((*value = value_of(argument, integers[i].name)) != NULL)
            return &integers[i];
    return NULL;
}

void open_options_read(struct open_options *options, int count, char **arguments)
{
    bool given[INTEGER_COUNT] = {false};
    const char *url = NULL;
    *options = (struct open_options){.grace_ms = 10000};
    for (int i = 1; i < count; i++) {
        const char *value;
        const struct option *option = find_integer(arguments[i], &value);
        if (option != NULL) {
            read_integer(options, option, value);
            given[option - integers] = true;
        } else if ((value = value_of(arguments[i], "url")) != NULL) {
            url = value;
            read_url(options, url);
        } else if ((value = value_of(arguments[i], "ids")) != NULL && *value != '\0') {
            options->ids_path = value;
        } else if (strcmp(arguments[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        } else {
            refuse("\"%s\" is no option with its value", arguments[i]);
        }
    }
    if (url == NULL)
        refuse("--url is missing");
    for (size_t i = 0; i < INTEGER_COUNT; i++)
        if (!given[i] && !integers[i].optional)
            refuse("--%s is missing", integers[i].name);
    if (options->ids_path == NULL)
        refuse("--ids is missing");
    if (options->member_first + options->member_count - 1 > INTEGER_MAX)
        refuse("--member-first and --member-count: the last member's id is over %llu", INTEGER_MAX);
}
