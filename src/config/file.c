/* The config file: INI by inih, with every line looked at before inih sees it.
 *
 * inih has a fixed line buffer (200 bytes where nobody changed it, and it cuts what is longer
 * without a word), takes an indented line for a continuation of the value above, knows neither
 * NUL bytes nor text behind "[section]", and its handler gets no line number. How it was built
 * differs between systems. So our reader hands it one checked line at a time, without indentation
 * and without the value; inih says what is a section and what a key; the value is taken from the
 * line itself. A comment behind a value begins with " ;", as in inih. */
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "config/whole_file.h"

#define SHOWN_SIZE 256

struct input {
    struct config *config;
    const char *path;
    char *next; /* the rest of the file, NUL-terminated */
    char *end;
    char *line; /* the line in work, NUL-terminated, without white space around it */
    char *value;
    size_t line_number;
    size_t errors;
    struct config_section *section; /* NULL: none yet, or one that is skipped */
    bool in_section;
    /* The key above is a secret, or unknown: a line that is no pair may belong to its value. */
    bool behind_secret;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *trim(char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    size_t size = strlen(text);
    while (size > 0 && is_blank(text[size - 1])) {
        size--;
    }
    text[size] = '\0';
    return text;
}

/* The start of a comment behind something (white space, then ';'), or the end. */
static char *find_comment(char *text)
{
    char *at = text;
    while (*at != '\0' && !(*at == ';' && at > text && is_blank(at[-1]))) {
        at++;
    }
    return at;
}

static void add_error(struct input *input, enum config_shown how, const char *what,
                      const char *detail)
{
    char shown[SHOWN_SIZE];
    config_show_line(input->line, how, shown, sizeof shown);
    notes_add(&input->config->errors, "%s:%zu: %s%s%s", input->path, input->line_number, what,
              shown, detail);
    input->errors++;
}

/* Takes the next line out of the file; false at the end. `size` may be more than strlen: NULs. */
static bool take_line(struct input *input, size_t *size)
{
    if (input->next >= input->end) {
        return false;
    }
    char *line = input->next;
    char *newline = memchr(line, '\n', (size_t)(input->end - line));
    char *line_end = newline == NULL ? input->end : newline;
    input->next = newline == NULL ? input->end : newline + 1;
    input->line_number++;
    if (line_end > line && line_end[-1] == '\r') {
        line_end--;
    }
    *line_end = '\0';
    *size = (size_t)(line_end - line);
    input->line = line;
    return true;
}

/* True when nothing in the line would be cut or misread on the way. */
static bool line_is_sound(struct input *input, size_t size)
{
    char what[96];
    if (size > CONFIG_LINE_BYTES_MAX) {
        snprintf(what, sizeof what, "the line has %zu bytes; at most %d are allowed", size,
                 CONFIG_LINE_BYTES_MAX);
        input->line = NULL; /* nobody wants to see it */
        add_error(input, CONFIG_SHOW_WORD, what, "");
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)input->line[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            snprintf(what, sizeof what, "control byte 0x%02x at column %zu", byte, i + 1);
            input->line = NULL; /* it may hold a secret behind a NUL */
            add_error(input, CONFIG_SHOW_WORD, what, "");
            return false;
        }
    }
    return true;
}

static void unknown_section(struct input *input, const char *name)
{
    char what[SHOWN_SIZE];
    char quoted[SUGGEST_WORD_BYTES_MAX];
    char hint[SHOWN_SIZE] = "";
    struct suggestion suggestion;
    suggestion_begin(&suggestion, name);
    for (size_t i = 0; i < input->config->section_count; i++) {
        suggestion_offer(&suggestion, input->config->tables[i]->section);
    }
    const char *known = NULL;
    for (size_t i = 0; (known = config_section_known_elsewhere(i)) != NULL; i++) {
        suggestion_offer(&suggestion, known);
    }
    notes_quote(quoted, sizeof quoted, name, strlen(name));
    snprintf(what, sizeof what, "unknown section [%s]", quoted);
    if (suggestion_best(&suggestion) != NULL) {
        snprintf(hint, sizeof hint, "\n    did you mean [%s]?", suggestion_best(&suggestion));
    }
    add_error(input, CONFIG_SHOW_LINE, what, hint);
}

/* `[name]`, maybe with a comment behind it. Keys of a section that is wrong, unknown or not built
 * in are skipped: its header has been complained about once. True: inih shall see it. */
static bool enter_section(struct input *input)
{
    input->section = NULL;
    input->in_section = true;
    input->behind_secret = false;
    char *close = strchr(input->line, ']');
    if (close == NULL) {
        add_error(input, CONFIG_SHOW_WORD, "']' is missing", "");
        return false;
    }
    const char *behind = close + 1;
    while (is_blank(*behind)) {
        behind++;
    }
    if (*behind != '\0' && *behind != ';' && *behind != '#') {
        add_error(input, CONFIG_SHOW_WORD, "text behind ']'", "");
        return false;
    }
    char name[CONFIG_SECTION_BYTES_MAX + 1];
    size_t size = (size_t)(close - input->line) - 1;
    if (size == 0 || size > CONFIG_SECTION_BYTES_MAX) {
        add_error(input, CONFIG_SHOW_WORD,
                  size == 0 ? "the section has no name" : "the section's name is too long", "");
        return false;
    }
    memcpy(name, input->line + 1, size);
    name[size] = '\0';
    input->section = config_find_section(input->config, name);
    if (input->section == NULL && config_section_is_known_elsewhere(name)) {
        notes_add(&input->config->warnings,
                  "%s:%zu: [%s]: this binary was built without it; ignored", input->path,
                  input->line_number, name);
    } else if (input->section == NULL) {
        unknown_section(input, name);
    }
    return input->section != NULL;
}

/* `key = value` or `key: value`. Leaves the value in input->value, and in `head` what inih shall
 * see: the key and the delimiter. */
static bool split_pair(struct input *input, char *head, size_t head_size)
{
    char *delimiter = input->line + strcspn(input->line, "=:");
    if (*delimiter == '\0' || find_comment(input->line) < delimiter) {
        input->line = input->behind_secret ? NULL : input->line;
        add_error(input, CONFIG_SHOW_WORD, "expected 'key = value' or '[section]'", "");
        return false;
    }
    size_t size = (size_t)(delimiter - input->line);
    if (size == 0) {
        add_error(input, CONFIG_SHOW_KEY, "the key is missing", "");
        return false;
    }
    if (size + 3 > head_size || size > CONFIG_KEY_BYTES_MAX) {
        add_error(input, CONFIG_SHOW_KEY, "the key is too long", "");
        return false;
    }
    if (!input->in_section) {
        add_error(input, CONFIG_SHOW_KEY, "the key stands before the first [section]", "");
        return false;
    }
    if (input->section == NULL) {
        return false;
    }
    memcpy(head, input->line, size + 1);
    memcpy(head + size + 1, "\n", 2);
    input->value = delimiter + 1;
    return true;
}

/* The reader that inih calls for each line. */
static char *next_line(char *buffer, int buffer_size, void *stream)
{
    struct input *input = stream;
    size_t size = 0;
    while (take_line(input, &size)) {
        if (!line_is_sound(input, size)) {
            continue;
        }
        input->line = trim(input->line);
        if (input->line[0] == '\0' || strchr(";#", input->line[0]) != NULL) {
            continue;
        }
        if (input->line[0] == '[') {
            if (enter_section(input)) {
                snprintf(buffer, (size_t)buffer_size, "[%s]\n", input->section->table->section);
                return buffer;
            }
        } else if (split_pair(input, buffer, (size_t)buffer_size)) {
            return buffer;
        }
    }
    return NULL;
}

static void unknown_key(struct input *input, const char *name)
{
    struct config_section *section = input->section;
    char what[SHOWN_SIZE];
    char quoted[SUGGEST_WORD_BYTES_MAX];
    char hint[SHOWN_SIZE] = "";
    size_t size = strcspn(name, " \t");
    struct suggestion suggestion;
    suggestion_begin(&suggestion, name);
    config_offer_keys(section->table, &suggestion);
    const char *best = suggestion_best(&suggestion);
    struct config_key key;
    if (best != NULL) {
        snprintf(hint, sizeof hint, "\n    did you mean '%s'?", best);
    }
    for (size_t i = 0; best == NULL && i < input->config->section_count; i++) {
        struct config_section *other = &input->config->sections[i];
        if (config_find_key(other, name, &key)) {
            snprintf(hint, sizeof hint, "\n    did you mean '%s' in [%s]?", name,
                     other->table->section);
            break;
        }
    }
    notes_quote(quoted, sizeof quoted, name, size);
    snprintf(what, sizeof what, "unknown key '%s%s' in [%s]", quoted,
             name[size] == '\0' ? "" : " …", section->table->section);
    input->behind_secret = true; /* it may have been meant for one */
    add_error(input, CONFIG_SHOW_KEY, what, hint);
}

/* Remembers the line of a key. False, and an error, when it is given twice. */
static bool note_line(struct input *input, const struct config_key *key, enum config_shown how)
{
    struct config_slot *slot = &key->section->slots[key->index];
    const struct resv_option_table *table = key->section->table;
    const char *name = config_key_option(table, key->index).key;
    const char *suffix = key->from_file ? "_file" : "";
    size_t *line = &slot->lines[key->from_file ? 1 : 0];
    size_t other_line = slot->lines[key->from_file ? 0 : 1];
    char what[SHOWN_SIZE];
    if (*line != 0) {
        snprintf(what, sizeof what, "duplicate key '%s%s' in [%s], first on line %zu", name, suffix,
                 table->section, *line);
    } else if (other_line != 0) {
        snprintf(what, sizeof what,
                 "'%s' and '%s_file' exclude each other; the other is on line %zu", name, name,
                 other_line);
    } else {
        *line = input->line_number;
        return true;
    }
    add_error(input, how, what, "");
    return false;
}

static void take_value(struct input *input, const char *name, const struct config_key *key)
{
    bool never_shown = config_key_option(key->section->table, key->index).secret;
    bool secret = never_shown && !key->from_file;
    enum config_shown how = secret ? CONFIG_SHOW_KEY : CONFIG_SHOW_LINE;
    input->behind_secret = secret;
    if (!note_line(input, key, how)) {
        return;
    }
    char *shown = strdup(input->line);
    char *origin = NULL;
    if (shown == NULL ||
        asprintf(&origin, "%s:%zu: %s", input->path, input->line_number, name) < 0) {
        free(shown);
        add_error(input, how, "out of memory", "");
        return;
    }
    *find_comment(input->value) = '\0';
    struct config_given given = {
        .source = CONFIG_FROM_FILE, .origin = origin, .value = trim(input->value), .line = shown};
    size_t errors = config_give(input->config, key, &given);
    input->errors += errors;
    if (errors == 0 && strstr(given.value, " #") != NULL && !never_shown) {
        notes_add(&input->config->warnings,
                  "%s: '#' is part of the value; a comment behind a value begins with ' ;'",
                  origin);
    }
    free(origin);
    free(shown);
}

/* What inih calls for each key. */
static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct input *input = user;
    (void)section;
    (void)value;
    struct config_key key;
    if (config_find_key(input->section, name, &key)) {
        take_value(input, name, &key);
    } else {
        unknown_key(input, name);
    }
    return 1;
}

static void forget_lines(struct config *config)
{
    for (size_t i = 0; i < config->section_count; i++) {
        size_t count = config_key_count(config->sections[i].table);
        for (size_t j = 0; j < count; j++) {
            memset(config->sections[i].slots[j].lines, 0, sizeof(size_t[2]));
        }
    }
}

size_t config_read_file(struct config *config, const char *path)
{
    char *data = NULL;
    size_t size = 0;
    int error = whole_file_read(path, CONFIG_FILE_BYTES_MAX, &data, &size);
    if (error == EFBIG) {
        notes_add(&config->errors, "%s: has more than %d bytes", path, CONFIG_FILE_BYTES_MAX);
        return 1;
    }
    if (error != 0) {
        notes_add(&config->errors, "%s: cannot read: %s", path, strerror(error));
        return 1;
    }
    struct input input = {.config = config, .path = path, .next = data, .end = data + size};
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        input.next += 3; /* a byte order mark, as some editors write it */
    }
    forget_lines(config);
    int result = ini_parse_stream(next_line, &input, take_pair, &input);
    if (result != 0) {
        notes_add(&config->errors, "%s: inih cannot parse it (%d)", path, result);
        input.errors++;
    }
    free(data);
    return input.errors;
}
