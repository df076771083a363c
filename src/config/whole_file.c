/* A whole small file as text. */
#include "config/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_SIZE 4096

/* Reads until the end or until there are more than size_max bytes. *data grows as needed, with
 * room for a NUL behind the bytes; the caller frees it in any case. */
static int read_all(int file, size_t size_max, char **data, size_t *size)
{
    size_t capacity = 0;
    for (;;) {
        if (*size == capacity) {
            capacity = capacity == 0 ? FIRST_SIZE : capacity * 2;
            char *larger = realloc(*data, capacity + 1);
            if (larger == NULL) {
                return ENOMEM;
            }
            *data = larger;
        }
        ssize_t got = read(file, *data + *size, capacity - *size);
        if (got == 0) {
            return 0;
        }
        if (got < 0 && errno != EINTR) {
            return errno;
        }
        *size += got > 0 ? (size_t)got : 0;
        if (*size > size_max) {
            return EFBIG;
        }
    }
}

int whole_file_read(const char *path, size_t size_max, char **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno;
    }
    int error = read_all(file, size_max, data, size);
    close(file);
    if (error != 0) {
        free(*data);
        *data = NULL;
        return error;
    }
    (*data)[*size] = '\0';
    return 0;
}
