/* Counts the system calls that a program makes on files below one folder, and at one of them stops it, raises a signal
 * or makes the call fail. Loaded by LD_PRELOAD.
 *
 * FAULTS_UNDER  the folder, as an absolute path
 * FAULTS_LOG    file to which each counted call is appended, as "name\tpath\tmore": flags of open, bytes of write in
 *               hexadecimal, the other path of rename, the length of ftruncate
 * FAULTS_AT     number of the call, from 1
 * FAULTS_DO     kill N     raises signal N before the call
 *               fail N     the call fails with error N
 *               short 0    the call, where it is a write, writes one byte
 * FAULTS_ALWAYS name of a call that always fails with ENOSYS
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long n_calls;

/* What is to become of a call. */
enum fate { GO_ON, FAIL, SHORT };

static int is_below(const char *path) {
    const char *under = getenv("FAULTS_UNDER");
    char absolute[PATH_MAX];
    if (!under || !path) return 0;
    if (path[0] != '/') {
        char here[PATH_MAX];
        if (!getcwd(here, sizeof here)) return 0;
        if (snprintf(absolute, sizeof absolute, "%s/%s", here, path) >= (int)sizeof absolute) return 0;
        path = absolute;
    }
    size_t n = strlen(under);
    return strncmp(path, under, n) == 0 && (path[n] == '/' || path[n] == 0);
}

/* Appends a call to the log. */
static void note(const char *name, const char *path, const char *more, const unsigned char *bytes, size_t n) {
    const char *log = getenv("FAULTS_LOG");
    if (!log) return;
    size_t size = strlen(name) + strlen(path) + strlen(more) + 2 * n + 8;
    char *line = malloc(size);
    if (!line) abort();
    int length = snprintf(line, size, "%s\t%s\t%s", name, path, more);
    for (size_t i = 0; i < n; i++) length += snprintf(line + length, size - length, "%02x", bytes[i]);
    line[length++] = '\n';
    int fd = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || REAL(write)(fd, line, length) != length) abort();
    close(fd);
    free(line);
}

static enum fate met_with(const char *name, const char *path, const char *more, const void *bytes, size_t n_bytes) {
    if (!is_below(path)) return GO_ON;
    int before = errno;
    const char *always = getenv("FAULTS_ALWAYS");
    if (always && strcmp(always, name) == 0) {
        errno = ENOSYS;
        return FAIL;
    }
    long n = atomic_fetch_add(&n_calls, 1) + 1;
    note(name, path, more, bytes, n_bytes);
    const char *at = getenv("FAULTS_AT"), *what = getenv("FAULTS_DO");
    errno = before;
    if (!at || !what || atol(at) != n) return GO_ON;
    int number = atoi(strchr(what, ' ') + 1);
    if (strncmp(what, "kill", 4) == 0) {
        kill(getpid(), number);
        return GO_ON;
    }
    if (strncmp(what, "fail", 4) == 0) {
        errno = number;
        return FAIL;
    }
    return SHORT;
}

static enum fate met(const char *name, const char *path, const char *more) {
    return met_with(name, path, more, NULL, 0);
}

static enum fate met_file(const char *name, int fd, const char *more, const void *bytes, size_t n_bytes) {
    char link[64], path[PATH_MAX];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = before;
    if (n <= 0) return GO_ON;
    path[n] = 0;
    return met_with(name, path, more, bytes, n_bytes);
}

static enum fate met_at(const char *name, int folder, const char *path, const char *more) {
    char link[64], whole[2 * PATH_MAX];
    if (folder == AT_FDCWD || path[0] == '/') return met(name, path, more);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t n = readlink(link, whole, PATH_MAX - 1);
    if (n <= 0) return GO_ON;
    snprintf(whole + n, sizeof whole - n, "/%s", path);
    return met(name, whole, more);
}

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...) {                       \
        va_list more;                                                  \
        va_start(more, flags);                                         \
        mode_t mode = va_arg(more, mode_t);                            \
        va_end(more);                                                  \
        char shown[16];                                                \
        snprintf(shown, sizeof shown, "%d", flags);                    \
        if (met("open", path, shown) == FAIL) return -1;               \
        return REAL(name)(path, flags, mode);                          \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                   \
    int name(int folder, const char *path, int flags, ...) {           \
        va_list more;                                                  \
        va_start(more, flags);                                         \
        mode_t mode = va_arg(more, mode_t);                            \
        va_end(more);                                                  \
        char shown[16];                                                \
        snprintf(shown, sizeof shown, "%d", flags);                    \
        if (met_at("open", folder, path, shown) == FAIL) return -1;    \
        return REAL(name)(folder, path, flags, mode);                  \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t n) {
    enum fate fate = met_file("write", fd, "", bytes, n);
    if (fate == FAIL) return -1;
    return REAL(write)(fd, bytes, fate == SHORT && n > 1 ? 1 : n);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    enum fate fate = met_file("write", fd, "", n > 0 ? parts[0].iov_base : NULL, n > 0 ? parts[0].iov_len : 0);
    if (fate == FAIL) return -1;
    if (fate == SHORT && n > 0 && parts[0].iov_len > 1) return REAL(write)(fd, parts[0].iov_base, 1);
    return REAL(writev)(fd, parts, n);
}

#define ON_FILE(name, arguments, call)                                 \
    int name arguments {                                               \
        if (met_file(#name, fd, "", NULL, 0) == FAIL) return -1;       \
        return REAL(name) call;                                        \
    }
ON_FILE(fsync, (int fd), (fd))
ON_FILE(fdatasync, (int fd), (fd))
ON_FILE(fchmod, (int fd, mode_t mode), (fd, mode))
ON_FILE(ftruncate, (int fd, off_t n), (fd, n))
ON_FILE(ftruncate64, (int fd, off64_t n), (fd, n))

#define ON_PATH(name, arguments, call)                                 \
    int name arguments {                                               \
        if (met(#name, path, "") == FAIL) return -1;                   \
        return REAL(name) call;                                        \
    }
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH(rmdir, (const char *path), (path))
ON_PATH(unlink, (const char *path), (path))
ON_PATH(chmod, (const char *path, mode_t mode), (path, mode))

int rename(const char *path, const char *to) {
    if (met("rename", path, to) == FAIL) return -1;
    return REAL(rename)(path, to);
}

int unlinkat(int folder, const char *path, int flags) {
    if (met_at("unlink", folder, path, "") == FAIL) return -1;
    return REAL(unlinkat)(folder, path, flags);
}

int renameat2(int from, const char *path, int to, const char *new_path, unsigned int flags) {
    if (met_at("renameat2", from, path, new_path) == FAIL) return -1;
    return REAL(renameat2)(from, path, to, new_path, flags);
}
