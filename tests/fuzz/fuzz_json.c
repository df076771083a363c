/* Fuzz target: the strict JSON reader, held against cJSON. Any bytes are a document. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/json_differential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > JSON_DIFFERENTIAL_TEXT_MAX) {
        return 0;
    }
    const char *why = NULL;
    if (json_differential((const char *)data, size, &why) == JSON_VERDICT_WRONG) {
        fprintf(stderr, "fuzz_json: %s\n", why);
        abort();
    }
    return 0;
}
