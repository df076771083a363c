/* The log: one line a lifecycle event, written with one write(2) to stderr.
 *
 *   text    2026-01-31T12:00:00.000Z warning backend lost  component=redis-1 detail="gone away"
 *   logfmt  time=2026-01-31T12:00:00.000Z level=warning event="backend lost" component=redis-1 …
 *   json    {"time":"2026-01-31T12:00:00.000Z","level":"warning","event":"backend lost",…}
 *
 * A line has at most LINE_SIZE bytes: a long value is cut and ends in "...", and pairs that do not
 * fit any more are dropped, which the pair truncated=true tells. What is written is always valid
 * UTF-8 without control characters, so a value can forge neither a line nor a terminal sequence. */
#include "log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "resvd/assert.h"

#define LINE_SIZE       8192
#define VALUE_BYTES_MAX 2048 /* as it is given, before escaping */
#define RESERVED_SIZE   32   /* for the truncated pair and the end of the line */

struct line {
    char text[LINE_SIZE];
    size_t size;
    bool full; /* the last thing appended did not fit */
};

static enum log_format configured_format = LOG_FORMAT_AUTO;
static enum resv_log_level configured_level = RESV_LOG_INFO;

void log_configure(enum log_format format, enum resv_log_level level)
{
    if (format == LOG_FORMAT_AUTO) {
        format = isatty(STDERR_FILENO) ? LOG_FORMAT_TEXT : LOG_FORMAT_LOGFMT;
    }
    configured_format = format;
    configured_level = level;
}

enum log_format log_current_format(void)
{
    return configured_format;
}

static const char *level_name(enum resv_log_level level)
{
    switch (level) {
    case RESV_LOG_DEBUG:
        return "debug";
    case RESV_LOG_INFO:
        return "info";
    case RESV_LOG_WARNING:
        return "warning";
    case RESV_LOG_ERROR:
        return "error";
    }
    RESV_ASSERT(false);
    return "";
}

static void append(struct line *line, const char *data, size_t size)
{
    if (line->full || line->size + size > LINE_SIZE - RESERVED_SIZE) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->size, data, size);
    line->size += size;
}

static void append_text(struct line *line, const char *text)
{
    append(line, text, strlen(text));
}

/* Bytes of the well-formed UTF-8 character at `data` (RFC 3629), 0 when it is none. */
static size_t character_size(const unsigned char *data, size_t size)
{
    unsigned char lead = data[0];
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length == 0 || lead > 0xf4 || length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (lead == 0xe0 && data[1] < 0xa0) || (lead == 0xf0 && data[1] < 0x90);
    bool surrogate = lead == 0xed && data[1] >= 0xa0;
    bool too_large = lead == 0xf4 && data[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : length;
}

static void append_escape(struct line *line, unsigned code)
{
    char escape[8];
    switch (code) {
    case '\n':
        append_text(line, "\\n");
        return;
    case '\r':
        append_text(line, "\\r");
        return;
    case '\t':
        append_text(line, "\\t");
        return;
    case '"':
        append_text(line, "\\\"");
        return;
    case '\\':
        append_text(line, "\\\\");
        return;
    }
    snprintf(escape, sizeof escape, "\\u%04x", code & 0xffff);
    append_text(line, escape);
}

/* As a JSON string, which logfmt's quoted values are too. C1 controls, which a terminal may obey,
 * are escaped as well; a byte that is no UTF-8 becomes U+FFFD. */
static void append_quoted(struct line *line, const char *value)
{
    const unsigned char *data = (const unsigned char *)value;
    size_t whole_size = strlen(value);
    size_t size = whole_size > VALUE_BYTES_MAX ? VALUE_BYTES_MAX : whole_size;
    append_text(line, "\"");
    for (size_t i = 0; i < size;) {
        size_t length = character_size(data + i, size - i);
        if (length == 0) {
            /* Not when only the cut through a character made it bad. */
            if (whole_size == size || size - i > 3) {
                append_text(line, "\\ufffd");
            }
            i++;
        } else if (length == 2 && data[i] == 0xc2 && data[i + 1] < 0xa0) {
            append_escape(line, data[i + 1]);
            i += 2;
        } else if (length == 1 &&
                   (data[i] < 0x20 || data[i] == 0x7f || data[i] == '"' || data[i] == '\\')) {
            append_escape(line, data[i]);
            i++;
        } else {
            append(line, value + i, length);
            i += length;
        }
    }
    append_text(line, whole_size > size ? "...\"" : "\"");
}

/* Can it stand in logfmt without quotes? */
static bool is_plain(const char *value)
{
    if (value[0] == '\0' || strlen(value) > VALUE_BYTES_MAX) {
        return false;
    }
    for (const char *at = value; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("\"\\=", *at) != NULL) {
            return false; /* bytes over 0x7f too: char may be signed or not */
        }
    }
    return true;
}

static void append_value(struct line *line, const char *value)
{
    if (is_plain(value)) {
        append_text(line, value);
    } else {
        append_quoted(line, value);
    }
}

static void append_pair(struct line *line, enum log_format format, const char *key,
                        const char *value)
{
    size_t size_before = line->size;
    if (format == LOG_FORMAT_JSON) {
        append_text(line, ",");
        append_quoted(line, key);
        append_text(line, ":");
        append_quoted(line, value);
    } else {
        append_text(line, " ");
        append_text(line, key);
        append_text(line, "=");
        append_value(line, value);
    }
    if (line->full) {
        line->size = size_before;
    }
}

static void append_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    char text[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, sizeof text - size, ".%03ldZ", now.tv_nsec / 1000000);
    append_text(line, text);
}

static void append_head(struct line *line, enum log_format format, const char *level,
                        const char *event)
{
    switch (format) {
    case LOG_FORMAT_TEXT:
        append_time(line);
        append_text(line, " ");
        append_text(line, level);
        append_text(line, " ");
        append_text(line, event);
        append_text(line, " "); /* a second one comes with the first pair */
        return;
    case LOG_FORMAT_JSON:
        append_text(line, "{\"time\":\"");
        append_time(line);
        append_text(line, "\",\"level\":\"");
        append_text(line, level);
        append_text(line, "\",\"event\":");
        append_quoted(line, event);
        return;
    case LOG_FORMAT_AUTO:
    case LOG_FORMAT_LOGFMT:
        append_text(line, "time=");
        append_time(line);
        append_text(line, " level=");
        append_text(line, level);
        append_text(line, " event=");
        append_value(line, event);
        return;
    }
}

static void finish_line(struct line *line, enum log_format format)
{
    const char *end = format == LOG_FORMAT_JSON
                          ? (line->full ? ",\"truncated\":\"true\"}\n" : "}\n")
                          : (line->full ? " truncated=true\n" : "\n");
    size_t size = strlen(end);
    RESV_ASSERT(size <= RESERVED_SIZE);
    if (format == LOG_FORMAT_TEXT && !line->full) {
        while (line->size > 0 && line->text[line->size - 1] == ' ') {
            line->size--;
        }
    }
    memcpy(line->text + line->size, end, size);
    line->size += size;
}

void log_event_list(enum resv_log_level level, const char *event, va_list pairs)
{
    if (level < configured_level) {
        return;
    }
    if (configured_format == LOG_FORMAT_AUTO) {
        log_configure(LOG_FORMAT_AUTO, configured_level); /* nobody has called it yet */
    }
    enum log_format format = configured_format;
    struct line line;
    line.size = 0;
    line.full = false;
    append_head(&line, format, level_name(level), event);
    RESV_ASSERT(!line.full); /* an event is a short fixed phrase */
    const char *key = NULL;
    while (!line.full && (key = va_arg(pairs, const char *)) != NULL) {
        const char *value = va_arg(pairs, const char *);
        append_pair(&line, format, key, value == NULL ? "" : value);
    }
    finish_line(&line, format);
    /* There is nobody to tell when the log cannot be written. */
    while (write(STDERR_FILENO, line.text, line.size) < 0 && errno == EINTR) {
    }
}

void log_event(enum resv_log_level level, const char *event, ...)
{
    va_list pairs;
    va_start(pairs, event);
    log_event_list(level, event, pairs);
    va_end(pairs);
}

void log_start_failure(const char *message)
{
    if (configured_format == LOG_FORMAT_JSON)
        log_event(RESV_LOG_ERROR, "start failed", "message", message, NULL);
    else
        fprintf(stderr, "resvd: %s\n", message);
}
