/* Which --section.key flags there are, for the command line. */
#ifndef RESVD_CONFIG_FLAG_H
#define RESVD_CONFIG_FLAG_H

#include <stdbool.h>

#include "config/suggest.h"
#include "resvd/option.h"

/* `name` is "section.key". True too for sections that this binary was built without. */
bool config_flag_is_known(const struct resv_option_table *const *tables, const char *name);
/* True too where it cannot be known: of a section that is not built in. */
bool config_flag_is_secret(const struct resv_option_table *const *tables, const char *name);
/* Offers every "--section.key". */
void config_offer_flags(const struct resv_option_table *const *tables,
                        struct suggestion *suggestion);

#endif
