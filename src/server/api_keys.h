/* The keys that clients show as bearer tokens, split from their configured text. */
#ifndef RESVD_SERVER_API_KEYS_H
#define RESVD_SERVER_API_KEYS_H

struct api_keys {
    char *text;        /* the keys, NUL-terminated each */
    const char **list; /* NULL-terminated; NULL when there are none */
};

/* Keys are separated by commas, spaces and line ends. Frees what was there before. */
void api_keys_set(struct api_keys *keys, const char *text);
const char *const *api_keys_list(const struct api_keys *keys);
void api_keys_free(struct api_keys *keys);

#endif
