/* A worker of the SQLite link: a thread, its inbox, and how it starts and ends. */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "resvd/assert.h"
#include "sqlite_internal.h"

uint64_t sqlite_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool sqlite_worker_init(struct sqlite_worker *worker)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool done = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&worker->wake, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!done)
        return false;
    if (pthread_mutex_init(&worker->mutex, NULL) != 0) {
        pthread_cond_destroy(&worker->wake);
        return false;
    }
    return true;
}

void sqlite_worker_destroy(struct sqlite_worker *worker)
{
    RESV_ASSERT(worker->first == NULL);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->mutex);
}

void sqlite_worker_post(struct sqlite_worker *worker, struct sqlite_message *message)
{
    RESV_ASSERT(message->run != NULL && message->finished != NULL);
    message->next = NULL;
    pthread_mutex_lock(&worker->mutex);
    RESV_ASSERT(!worker->stopping);
    if (worker->last == NULL)
        worker->first = message;
    else
        worker->last->next = message;
    worker->last = message;
    pthread_mutex_unlock(&worker->mutex);
    pthread_cond_signal(&worker->wake);
}

void sqlite_worker_stop(struct sqlite_worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    worker->stopping = true;
    pthread_mutex_unlock(&worker->mutex);
    pthread_cond_signal(&worker->wake);
}

static struct timespec time_after_ms(uint64_t delay_ms)
{
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    due.tv_sec += (time_t)(delay_ms / 1000);
    due.tv_nsec += (long)(delay_ms % 1000) * 1000000;
    if (due.tv_nsec >= 1000000000) {
        due.tv_nsec -= 1000000000;
        due.tv_sec++;
    }
    return due;
}

/* Waits for a message, at most wait_ms (0: for ever). False: stop, and the inbox is empty. True
 * with NULL: the time is over. */
static bool worker_take(struct sqlite_worker *worker, uint64_t wait_ms,
                        struct sqlite_message **message)
{
    struct timespec due = {0};
    if (wait_ms > 0)
        due = time_after_ms(wait_ms);
    bool waiting = true;
    pthread_mutex_lock(&worker->mutex);
    while (worker->first == NULL && !worker->stopping && waiting) {
        if (wait_ms == 0)
            pthread_cond_wait(&worker->wake, &worker->mutex);
        else
            waiting = pthread_cond_timedwait(&worker->wake, &worker->mutex, &due) != ETIMEDOUT;
    }
    *message = worker->first;
    if (worker->first != NULL) {
        worker->first = worker->first->next;
        if (worker->first == NULL)
            worker->last = NULL;
    }
    bool more = *message != NULL || !worker->stopping;
    pthread_mutex_unlock(&worker->mutex);
    return more;
}

static void *worker_main(void *argument)
{
    struct sqlite_worker *worker = argument;
    pthread_setname_np(pthread_self(), worker->name);
    worker->opened = worker->open(worker, &worker->problem);
    /* Read before posting: the loop may change what it points to afterwards. */
    bool opened = worker->opened;
    sqlite_link_finished(worker->link, &worker->opened_message);
    struct sqlite_message *message;
    uint64_t wait_ms = 0;
    while (opened && worker_take(worker, wait_ms, &message)) {
        if (message != NULL) {
            message->run(worker, message);
            sqlite_link_finished(worker->link, message);
        }
        if (worker->maintain != NULL)
            wait_ms = worker->maintain(worker);
    }
    worker->close(worker);
    sqlite_link_finished(worker->link, &worker->ended_message);
    return NULL;
}

int sqlite_worker_start(struct sqlite_worker *worker)
{
    /* Signals are for the loop's thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->started = error == 0;
    return error;
}
