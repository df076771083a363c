/* The log: one line a lifecycle event. Text on a terminal, logfmt otherwise, JSON on request. */
#ifndef RESVD_LOG_H
#define RESVD_LOG_H

#include <stdarg.h>

#include "resvd/host.h"

enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* Writes to stderr. Before the call: INFO, AUTO. */
void log_configure(enum log_format format, enum resv_log_level level);

/* AUTO until it is known. */
enum log_format log_current_format(void);

/* Why the program cannot start: "resvd: MESSAGE", as JSON one line of the log. */
void log_start_failure(const char *message);

/* `event`, then (const char *key, const char *value) pairs, NULL. Values are escaped. */
void log_event(enum resv_log_level level, const char *event, ...) __attribute__((sentinel));
void log_event_list(enum resv_log_level level, const char *event, va_list pairs);

#endif
