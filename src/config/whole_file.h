/* A whole small file as text. */
#ifndef RESVD_CONFIG_WHOLE_FILE_H
#define RESVD_CONFIG_WHOLE_FILE_H

#include <stddef.h>

/* 0: `*data` (malloc, NUL-terminated, may hold NUL bytes) has `*size` bytes. Else a positive
 * errno; EFBIG when it has more than size_max bytes. Pipes and devices can be read too. */
int whole_file_read(const char *path, size_t size_max, char **data, size_t *size);

#endif
