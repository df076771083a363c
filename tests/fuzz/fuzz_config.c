/* Fuzz target: the config file, and what is said about it. Any bytes are a file.
 *
 * After the file: a value is in its range whatever was read, errors are printable, and a file
 * without errors gives the same values when its config is taken over by a reload. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "config/server_options.h"
#include "resvd/assert.h"

#define SIZE_MAX_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct resv_option_table *const tables[] = {&server_options, NULL};

/* No folder and no clean-up: a file in memory, by its name under /proc. */
static int memory_file(const uint8_t *data, size_t size, char *path, size_t path_size)
{
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    RESV_ASSERT(file >= 0);
    RESV_ASSERT(size == 0 || write(file, data, size) == (ssize_t)size);
    snprintf(path, path_size, "/proc/self/fd/%d", file);
    return file;
}

static void check_values(const struct config *config)
{
    for (size_t i = 0; i < server_options.count; i++) {
        const struct resv_option *option = &server_options.options[i];
        switch (option->type) {
        case RESV_OPTION_INTEGER: {
            int64_t number = config_integer(config, &server_options, i);
            RESV_ASSERT(number >= option->minimum && number <= option->maximum);
            break;
        }
        case RESV_OPTION_BOOLEAN:
            (void)config_boolean(config, &server_options, i);
            break;
        case RESV_OPTION_STRING: {
            char why[512];
            const char *text = config_string(config, &server_options, i);
            /* Before config_finish a secret may be the path of its file. */
            RESV_ASSERT(text[0] == '\0' || option->check == NULL || option->secret ||
                        option->check(text, why, sizeof why));
            break;
        }
        case RESV_OPTION_CHOICE:
            RESV_ASSERT(option->choices[config_choice(config, &server_options, i)] != NULL);
            break;
        }
    }
}

/* Messages are shown on a terminal: no control byte of the file may get there. */
static void check_messages(const struct config *config, size_t errors)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    RESV_ASSERT(out != NULL);
    config_print_errors(config, out);
    fflush(out);
    RESV_ASSERT((errors > 0) == (size > 0));
    config_print_warnings(config, out);
    fclose(out);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        RESV_ASSERT((byte >= 0x20 && byte != 0x7f) || byte == '\n');
    }
    free(text);
}

static void check_reload(const struct config *fresh)
{
    struct config *config = config_create(tables);
    FILE *out = fopen("/dev/null", "w");
    RESV_ASSERT(config != NULL && out != NULL);
    config_reload(config, fresh, out);
    for (size_t i = 0; i < server_options.count; i++) {
        if (server_options.options[i].reloadable &&
            server_options.options[i].type == RESV_OPTION_INTEGER) {
            RESV_ASSERT(config_integer(config, &server_options, i) ==
                        config_integer(fresh, &server_options, i));
        }
    }
    check_values(config);
    fclose(out);
    config_destroy(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_MAX_BYTES) {
        return -1;
    }
    char path[64];
    int file = memory_file(data, size, path, sizeof path);
    struct config *config = config_create(tables);
    RESV_ASSERT(config != NULL);
    size_t errors = config_read_file(config, path);
    check_values(config);
    check_messages(config, errors);
    /* A secret's file is not read: the input would choose which file of this machine. */
    if (errors == 0) {
        check_reload(config);
    }
    config_destroy(config);
    close(file);
    return 0;
}
