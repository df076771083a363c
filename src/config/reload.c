/* HUP: which values can change while running, and taking them over. */
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "resvd/assert.h"

static void print_change(const struct resv_option_table *table, const struct resv_option *option,
                         const char *old_text, const char *new_text, FILE *out)
{
    const char *note = option->reloadable ? "" : "; needs a restart";
    if (option->secret) {
        fprintf(out, "[%s] %s: changed%s\n", table->section, option->key, note);
        return;
    }
    char old_shown[128];
    char new_shown[128];
    old_text = old_text == NULL ? "" : old_text;
    new_text = new_text == NULL ? "" : new_text;
    notes_quote(old_shown, sizeof old_shown, old_text, strlen(old_text));
    notes_quote(new_shown, sizeof new_shown, new_text, strlen(new_text));
    fprintf(out, "[%s] %s: '%s' -> '%s'%s\n", table->section, option->key, old_shown, new_shown,
            note);
}

static bool is_same(const struct resv_option *option, const struct config_slot *a,
                    const struct config_slot *b)
{
    if (a->text == NULL || b->text == NULL)
        return a->text == b->text;
    /* "on" and "yes" are the same. */
    return option->type == RESV_OPTION_STRING ? strcmp(a->text, b->text) == 0
                                              : a->number == b->number;
}

/* Strategies and server hold pointers to strings: the old one lives on. */
static bool take_over(struct config *config, struct config_slot *slot,
                      const struct config_slot *fresh)
{
    char *text = strdup(fresh->text);
    struct config_old_text *old = malloc(sizeof *old);
    if (text == NULL || old == NULL) {
        free(text);
        free(old);
        return false;
    }
    *old = (struct config_old_text){.next = config->old_texts, .text = slot->text};
    config->old_texts = old;
    slot->text = text;
    slot->number = fresh->number;
    slot->source = fresh->source;
    return true;
}

void config_reload(struct config *config, const struct config *fresh, FILE *out)
{
    RESV_ASSERT(config->section_count == fresh->section_count);
    for (size_t i = 0; i < config->section_count; i++) {
        const struct resv_option_table *table = config->sections[i].table;
        RESV_ASSERT(fresh->sections[i].table == table);
        size_t count = config_key_count(table);
        for (size_t j = 0; j < count; j++) {
            struct resv_option option = config_key_option(table, j);
            struct config_slot *slot = &config->sections[i].slots[j];
            const struct config_slot *fresh_slot = &fresh->sections[i].slots[j];
            if (is_same(&option, slot, fresh_slot)) {
                continue;
            }
            print_change(table, &option, slot->text, fresh_slot->text, out);
            if (option.reloadable && !take_over(config, slot, fresh_slot)) {
                fprintf(out, "[%s] %s: out of memory; the old value stays\n", table->section,
                        option.key);
            }
        }
    }
}
