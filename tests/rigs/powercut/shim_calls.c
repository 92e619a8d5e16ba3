/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that remembers and that fails: loaded with LD_PRELOAD, it stands before every call with
 * which a program changes files, and for those of one folder (HOMEWARD_POWERCUT_UNDER) writes down
 * in order what was done (HOMEWARD_POWERCUT_LOG), or makes the k-th call fail
 * (HOMEWARD_POWERCUT_FAIL, see shim_faults.c). Python, SQLite and SQLCipher are the real ones.
 *
 *   gcc -D_GNU_SOURCE -shared -fPIC -o powercut.so *.c -ldl -lpthread
 *
 * What cannot be remembered is refused (copies inside the kernel), so that the program takes
 * another way, or noted as ESCAPE, and then the log is worth nothing. SQLite's -shm is mapped: it
 * need not outlive anything.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

void *next_of(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);

  if (found == NULL) {
    abort();
  }
  return found;
}

ssize_t real_write(int fd, const void *from, size_t n) {
  static ssize_t (*real)(int, const void *, size_t);

  NEXT(real, "write");
  return real(fd, from, n);
}

/* Suffer what is due; return false, with errno, where the call is not to be made. */
static bool survives(struct fault fault) {
  struct timespec left = {fault.hang_s, 0};

  while (left.tv_sec + left.tv_nsec > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  if (fault.error == 0 && !fault.is_short) {
    return true;
  }
  errno = fault.error == 0 ? ENOSPC : fault.error;
  return false;
}

bool path_survives(enum call call, const char *path) {
  return survives(strike(call, path));
}

bool fd_survives(enum call call, int fd) {
  char path[PATH_MAX];

  return survives(strike(call, path_of_fd(fd, path) ? path : NULL));
}

size_t allowed(enum call call, int fd, size_t n) {
  char path[PATH_MAX];
  struct fault fault = strike(call, path_of_fd(fd, path) ? path : NULL);

  if (fault.is_short && n > 1) {
    return n / 2;
  }
  return survives(fault) ? n : 0;
}

/* Opening. */

static int open_any(int folder, const char *path, int flags, mode_t mode) {
  static int (*real)(int, const char *, int, ...);
  char whole[PATH_MAX];
  struct stat before;
  bool is_new;
  int fd;

  NEXT(real, "openat");
  if (!path_of(folder, path, whole)) {
    fd = real(folder, path, flags, mode);
    if (is_watching()) {
      forget(fd); /* a number of ours that was closed behind our back */
    }
    return fd;
  }
  if (!path_survives(ON_OPEN, whole)) {
    return -1;
  }
  lock();
  is_new = fstatat(folder, path, &before, 0) != 0;
  fd = real(folder, path, flags, mode);
  if (fd >= 0) {
    ino_t inode = 0;

    adopt(fd);
    if ((flags & O_TMPFILE) == O_TMPFILE) {
      note(ESCAPE, 0, 0, 0, whole, "O_TMPFILE", 9);
    }
    if (is_file(fd, &inode) && (flags & O_ACCMODE) != O_RDONLY) {
      note(OPEN, is_new ? CREATED : 0, inode, 0, whole, NULL, 0);
      if (!is_new && (flags & O_TRUNC) != 0) {
        note(TRUNCATE, 0, inode, 0, NULL, NULL, 0);
      }
    }
  }
  unlock();
  return fd;
}

static mode_t mode_of(int flags, va_list more) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

#define OPENS(name)                                            \
  int name(const char *path, int flags, ...) {                 \
    va_list more;                                              \
    mode_t mode;                                               \
    va_start(more, flags);                                     \
    mode = mode_of(flags, more);                               \
    va_end(more);                                              \
    return open_any(AT_FDCWD, path, flags, mode);              \
  }
#define OPENS_AT(name)                                         \
  int name(int folder, const char *path, int flags, ...) {     \
    va_list more;                                              \
    mode_t mode;                                               \
    va_start(more, flags);                                     \
    mode = mode_of(flags, more);                               \
    va_end(more);                                              \
    return open_any(folder, path, flags, mode);                \
  }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

int __open_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }
int __openat_2(int folder, const char *path, int flags) { return open_any(folder, path, flags, 0); }
int __openat64_2(int folder, const char *path, int flags) {
  return open_any(folder, path, flags, 0);
}
int creat(const char *path, mode_t mode) {
  return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
  static int (*real)(int);
  ino_t inode;

  NEXT(real, "close");
  if (is_watching()) {
    lock();
    if (is_file(fd, &inode)) {
      note(CLOSE, 0, inode, 0, NULL, NULL, 0);
    }
    forget(fd);
    unlock();
  }
  return real(fd);
}

int dup(int fd) {
  static int (*real)(int);
  int copy;

  NEXT(real, "dup");
  copy = real(fd);
  copy_of(fd, copy);
  return copy;
}

int dup2(int fd, int to) {
  static int (*real)(int, int);
  int copy;

  NEXT(real, "dup2");
  copy = real(fd, to);
  copy_of(fd, copy);
  return copy;
}

int dup3(int fd, int to, int flags) {
  static int (*real)(int, int, int);
  int copy;

  NEXT(real, "dup3");
  copy = real(fd, to, flags);
  copy_of(fd, copy);
  return copy;
}

static int control(int fd, int command, void *with) {
  static int (*real)(int, int, ...);
  int done;

  NEXT(real, "fcntl");
  done = real(fd, command, with);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) {
    copy_of(fd, done);
  }
  return done;
}

#define CONTROLS(name)                  \
  int name(int fd, int command, ...) {  \
    va_list more;                       \
    void *with;                         \
    va_start(more, command);            \
    with = va_arg(more, void *);        \
    va_end(more);                       \
    return control(fd, command, with);  \
  }
CONTROLS(fcntl)
CONTROLS(fcntl64)
