/* One value: from its text to what the program uses, and its range in words. */
#ifndef RESVD_CONFIG_VALUE_H
#define RESVD_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resvd/option.h"

#define VALUE_WHY_SIZE 512

/* True: `*number` is the integer, 0 or 1, or the index of the choice (0 for strings). False: `why`
 * says what is wrong, without the text itself when the option is a secret. `required` is not
 * checked here: an empty text may be overridden by another source. */
bool value_parse(const struct resv_option *option, const char *text, int64_t *number, char *why,
                 size_t why_size);

/* "1 to 1000000 ms", "on or off", "keys, off", "text". */
void value_describe(const struct resv_option *option, char *out, size_t out_size);

#endif
