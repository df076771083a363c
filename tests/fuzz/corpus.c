/* Runs a fuzz target once over every file of its corpus: what libFuzzer does first, without it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole file; exits when it cannot be read. The caller frees it. */
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    const long length = ftell(file);
    rewind(file);
    *size = (size_t)length;
    /* Exactly as long as the file, so that a sanitizer sees a read behind its end. */
    uint8_t *data = malloc(*size == 0 ? 1 : *size);
    if (length < 0 || data == NULL || fread(data, 1, *size, file) != *size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return data;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (folder == NULL) {
        fprintf(stderr, "usage: %s FOLDER (of inputs)\n", argv[0]);
        return 1;
    }
    unsigned count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        size_t size = 0;
        uint8_t *data = read_file(path, &size);
        (void)LLVMFuzzerTestOneInput(data, size);
        free(data);
        printf("ok %u - %s\n", ++count, entry->d_name);
        fflush(stdout);
    }
    closedir(folder);
    printf("1..%u\n", count);
    return count == 0 ? 1 : 0;
}
