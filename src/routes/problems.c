/* The table of problems, rendered at compile time so that an error costs no more than a pointer. */
#include "routes/problems.h"

#define RETRY_AFTER_S 1

#define PROBLEM_BODY(slug, status, title, detail)                                                  \
    "{\"type\":\"/problems/" slug "\",\"title\":\"" title "\",\"status\":" #status                 \
    ",\"detail\":\"" detail "\"}"
#define PROBLEM_STUDY_BODY(slug, status, title, detail)                                            \
    "{\"type\":\"/problems/" slug "\",\"title\":\"" title "\",\"status\":" #status                 \
    ",\"detail\":\"" detail "\",\"error\":\"" slug "\",\"message\":\"" detail "\"}"
#define PROBLEM_PAGE(slug, status, title, detail, advice)                                          \
    title " (" slug ", HTTP status " #status ")\n\n" detail "\n\n" advice "\n"

/* Those where nothing was taken and a little patience alone may help. */
#define IS_TRANSIENT(problem)                                                                      \
    ((problem) == PROBLEM_CONTENDED || (problem) == PROBLEM_IN_PROGRESS ||                         \
     (problem) == PROBLEM_UNAVAILABLE || (problem) == PROBLEM_TOO_MANY_CONNECTIONS)

const struct problem_entry problems[PROBLEM_COUNT] = {
#define X(name, slug_text, status_number, title_text, detail_text, advice_text)                    \
    [PROBLEM_##name] = {                                                                           \
        .slug = {slug_text, sizeof(slug_text) - 1},                                                \
        .status = status_number,                                                                   \
        .title = {title_text, sizeof(title_text) - 1},                                             \
        .detail = {detail_text, sizeof(detail_text) - 1},                                          \
        .body = {PROBLEM_BODY(slug_text, status_number, title_text, detail_text),                  \
                 sizeof(PROBLEM_BODY(slug_text, status_number, title_text, detail_text)) - 1},     \
        .study_body = {PROBLEM_STUDY_BODY(slug_text, status_number, title_text, detail_text),      \
                       sizeof(PROBLEM_STUDY_BODY(slug_text, status_number, title_text,             \
                                                 detail_text)) -                                   \
                           1},                                                                     \
        .page = {PROBLEM_PAGE(slug_text, status_number, title_text, detail_text, advice_text),     \
                 sizeof(PROBLEM_PAGE(slug_text, status_number, title_text, detail_text,            \
                                     advice_text)) -                                               \
                     1},                                                                           \
        .retry_after_s = IS_TRANSIENT(PROBLEM_##name) ? RETRY_AFTER_S : 0,                         \
    },
    PROBLEMS(X)
#undef X
};

enum problem problem_find(struct text slug)
{
    enum problem problem = 0;
    while (problem < PROBLEM_COUNT && !text_equal(problems[problem].slug, slug))
        problem++;
    return problem;
}
