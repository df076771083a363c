/* Properties: keys of a section that are not options of ours, but of the library behind it.
 *
 * To the sources of configuration they are keys like others: their index is behind the options'.
 * A name that an option has is the option's; its property is never found. */
#include <string.h>

#include "config/state.h"
#include "config/value.h"
#include "resvd/assert.h"

size_t config_key_count(const struct resv_option_table *table)
{
    size_t count = 0;
    while (table->properties != NULL && table->properties->name(count) != NULL) {
        count++;
    }
    return table->count + count;
}

struct resv_option config_key_option(const struct resv_option_table *table, size_t index)
{
    if (index < table->count) {
        return table->options[index];
    }
    const char *name = table->properties->name(index - table->count);
    RESV_ASSERT(name != NULL);
    return (struct resv_option){.key = name,
                                .type = RESV_OPTION_STRING,
                                .default_text = "",
                                .secret = table->properties->is_secret(name)};
}

bool config_check_text(const struct resv_option_table *table, size_t index, const char *text,
                       int64_t *number, char *why, size_t why_size)
{
    if (index < table->count) {
        return value_parse(&table->options[index], text, number, why, why_size);
    }
    *number = 0;
    const char *name = config_key_option(table, index).key;
    return text[0] == '\0' || table->properties->check(name, text, why, why_size);
}

bool config_property(const struct config *config, const struct resv_option_table *table,
                     size_t position, struct resv_property *property)
{
    const struct config_section *section = config_find_section(config, table->section);
    RESV_ASSERT(section != NULL && section->table == table && table->properties != NULL);
    size_t count = config_key_count(table);
    for (size_t i = table->count; i < count; i++) {
        const char *text = section->slots[i].text;
        if (text == NULL || text[0] == '\0' || position-- > 0) {
            continue;
        }
        *property = (struct resv_property){.name = config_key_option(table, i).key, .text = text};
        return true;
    }
    return false;
}
