/* The database file: finding it, locking it, and refusing what must not be touched. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite_internal.h"

enum { HEADER_BYTES = 100, HEADER_APPLICATION_ID_OFFSET = 68 };

/* Fills the problem; "%s" of the format is what is wrong. False, for the caller to return. */
__attribute__((format(printf, 5, 6))) static bool refuse(struct sqlite_problem *problem,
                                                         int exit_code, const char *path,
                                                         const struct sqlite_link_config *config,
                                                         const char *format, ...)
{
    char reason[PATH_MAX + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    problem->exit_code = exit_code;
    snprintf(problem->message, sizeof problem->message, "%s %s, or set %s to another path", path,
             reason, config->setting);
    return false;
}

/* The folder's real path and the file's name in it. A link to a file is followed: the lock must be
 * the same whichever way somebody came. */
static bool resolve_path(struct sqlite_file *file, const struct sqlite_link_config *config,
                         struct sqlite_problem *problem)
{
    const char *given = config->file;
    if (given[0] == '\0' || strcmp(given, ":memory:") == 0) {
        problem->exit_code = SQLITE_EXIT_CONFIG;
        snprintf(problem->message, sizeof problem->message,
                 "%s is \"%s\": it must be the path of a file, because sold seats have to last",
                 config->setting, given);
        return false;
    }
    if (strlen(given) >= PATH_MAX - sizeof "-journal")
        return refuse(problem, SQLITE_EXIT_CONFIG, given, config,
                      "has too long a name: shorten it");
    if (realpath(given, file->path) != NULL)
        return true;
    char folder[PATH_MAX];
    const char *slash = strrchr(given, '/');
    const char *name = slash == NULL ? given : slash + 1;
    if (slash == NULL)
        strcpy(folder, ".");
    else
        snprintf(folder, sizeof folder, "%.*s", slash == given ? 1 : (int)(slash - given), given);
    char resolved[PATH_MAX];
    if (realpath(folder, resolved) == NULL)
        return refuse(problem, SQLITE_EXIT_CONFIG, given, config,
                      "cannot be made: folder %s: %s: make the folder", folder, strerror(errno));
    if (name[0] == '\0')
        return refuse(problem, SQLITE_EXIT_CONFIG, given, config, "is a folder: name a file in it");
    if (strlen(resolved) + strlen(name) + sizeof "/-journal" > PATH_MAX)
        return refuse(problem, SQLITE_EXIT_CONFIG, given, config,
                      "has too long a name: shorten it");
    strcpy(file->path, resolved);
    if (strcmp(resolved, "/") != 0)
        strcat(file->path, "/");
    strcat(file->path, name);
    return true;
}

/* "FILE-lock", held for life, with our process id in it. It is never deleted: whoever waits for a
 * deleted lock file holds nothing. */
static bool take_lock(struct sqlite_file *file, const struct sqlite_link_config *config,
                      struct sqlite_problem *problem)
{
    char lock_path[PATH_MAX];
    snprintf(lock_path, sizeof lock_path, "%.*s-lock", PATH_MAX - 16, file->path);
    int descriptor = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (descriptor < 0)
        return refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
                      "cannot be locked: %s: %s: make its folder writable for resvd", lock_path,
                      strerror(errno));
    char holder[32] = "";
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        ssize_t size = read(descriptor, holder, sizeof holder - 1);
        holder[size > 0 ? size : 0] = '\0';
        holder[strcspn(holder, "\n")] = '\0';
        close(descriptor);
        if (error == EWOULDBLOCK)
            return refuse(problem, SQLITE_EXIT_UNAVAILABLE, file->path, config,
                          "is in use by another resvd (pid %s): stop it",
                          holder[0] == '\0' ? "unknown" : holder);
        return refuse(problem, SQLITE_EXIT_UNAVAILABLE, file->path, config,
                      "cannot be locked: %s: use a file system that has flock", strerror(error));
    }
    file->lock_descriptor = descriptor;
    int length = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(descriptor, 0) != 0 || write(descriptor, holder, (size_t)length) != length)
        /* The lock counts; the process id is only for the message of a second resvd. */
        (void)ftruncate(descriptor, 0);
    return true;
}

static bool side_file_has_bytes(const struct sqlite_file *file, const char *suffix)
{
    char path[PATH_MAX];
    struct stat status;
    snprintf(path, sizeof path, "%.*s%s", PATH_MAX - 16, file->path, suffix);
    return stat(path, &status) == 0 && status.st_size > 0;
}

/* Reads the header by hand, before SQLite opens the file: SQLite would already change a foreign one
 * (a journal played back). Must not happen later: closing any descriptor of the file drops the
 * locks that SQLite holds on it. */
static bool check_header(struct sqlite_file *file, const struct sqlite_link_config *config,
                         struct sqlite_problem *problem)
{
    struct stat status;
    if (stat(file->path, &status) != 0) {
        if (errno == ENOENT)
            return true;
        return refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
                      "cannot be read: %s: correct that", strerror(errno));
    }
    if (!S_ISREG(status.st_mode))
        return refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
                      "is not a regular file: name a file");
    int descriptor = open(file->path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
                      "cannot be written: %s: make it writable for resvd", strerror(errno));
    unsigned char header[HEADER_BYTES] = {0};
    ssize_t size = pread(descriptor, header, sizeof header, 0);
    int error = errno;
    close(descriptor);
    if (size < 0)
        return refuse(problem, SQLITE_EXIT_UNAVAILABLE, file->path, config,
                      "cannot be read: %s: repair the disk", strerror(error));
    if (size == 0 || side_file_has_bytes(file, "-journal"))
        return true; /* made, but its first transaction never ended: SQLite takes it back */
    if (size < HEADER_BYTES || memcmp(header, "SQLite format 3", 16) != 0)
        return refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
                      "is not a SQLite database and was left as it is: move it away");
    const unsigned char *id = header + HEADER_APPLICATION_ID_OFFSET;
    uint32_t application_id =
        (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | (uint32_t)id[3];
    if (application_id != SQLITE_APPLICATION_ID)
        return refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
                      "is another program's database and was left as it is: move it away");
    return true;
}

bool sqlite_file_claim(struct sqlite_file *file, const struct sqlite_link_config *config,
                       struct sqlite_problem *problem)
{
    file->lock_descriptor = -1;
    /* Looked at before the lock, so that nothing is left beside a file that is not ours, and again
     * under it. */
    if (!resolve_path(file, config, problem) || !check_header(file, config, problem) ||
        !take_lock(file, config, problem))
        return false;
    if (!check_header(file, config, problem)) {
        sqlite_file_release(file);
        return false;
    }
    file->unclean = side_file_has_bytes(file, "-wal") || side_file_has_bytes(file, "-journal");
    return true;
}

void sqlite_file_release(struct sqlite_file *file)
{
    if (file->lock_descriptor < 0)
        return;
    (void)!ftruncate(file->lock_descriptor, 0);
    close(file->lock_descriptor);
    file->lock_descriptor = -1;
}

void sqlite_problem_from_error(struct sqlite_problem *problem, const struct sqlite_file *file,
                               const struct sqlite_link_config *config, int error,
                               const char *doing)
{
    const char *says = sqlite3_errstr(error);
    switch (error & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
               "is damaged (%s: %s) and was left as it is: restore it from a backup", doing, says);
        break;
    case SQLITE_FULL:
        refuse(problem, SQLITE_EXIT_UNAVAILABLE, file->path, config,
               "cannot grow (%s: the disk is full): free some space", doing);
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        refuse(problem, SQLITE_EXIT_CONFIG, file->path, config,
               "cannot be written (%s: %s): make it and its folder writable for resvd", doing,
               says);
        break;
    case SQLITE_BUSY:
        refuse(problem, SQLITE_EXIT_UNAVAILABLE, file->path, config,
               "is locked by another program (%s): end that", doing);
        break;
    default:
        refuse(problem, SQLITE_EXIT_UNAVAILABLE, file->path, config,
               "cannot be used (%s: %s): correct that", doing, says);
        break;
    }
}
