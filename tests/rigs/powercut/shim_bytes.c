/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls that change or force out what is in files, part of the disk shim.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim.h"

static void note_bytes(ino_t inode, off_t at, const void *from, ssize_t n) {
  if (n > 0) {
    note(WRITE, 0, inode, (uint64_t)at, NULL, from, (size_t)n);
  }
}

ssize_t write(int fd, const void *from, size_t n) {
  ino_t inode;
  ssize_t done;

  if (!is_watching() || !is_file(fd, &inode)) {
    return real_write(fd, from, n);
  }
  if (n > 0 && (n = allowed(ON_WRITE, fd, n)) == 0) {
    return -1;
  }
  lock();
  done = real_write(fd, from, n);
  if (is_noting() && done > 0) {
    /* Where it ended, so that O_APPEND is right too. */
    note_bytes(inode, lseek(fd, 0, SEEK_CUR) - done, from, done);
  }
  unlock();
  return done;
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  ino_t inode;
  ssize_t done;

  NEXT(real, "pwrite64");
  if (!is_watching() || !is_file(fd, &inode)) {
    return real(fd, from, n, at);
  }
  if (n > 0 && (n = allowed(ON_WRITE, fd, n)) == 0) {
    return -1;
  }
  lock();
  done = real(fd, from, n, at);
  note_bytes(inode, at, from, done);
  unlock();
  return done;
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { return pwrite64(fd, from, n, at); }

/* Gathered writes are made one: it is the same to the file, and one line of the log. */
static char *gathered(const struct iovec *parts, int n_parts, size_t *n) {
  char *whole;
  size_t at = 0;
  int i;

  for (*n = 0, i = 0; i < n_parts; i++) {
    *n += parts[i].iov_len;
  }
  if ((whole = malloc(*n + 1)) == NULL) {
    abort();
  }
  for (i = 0; i < n_parts; i++) {
    memcpy(whole + at, parts[i].iov_base, parts[i].iov_len);
    at += parts[i].iov_len;
  }
  return whole;
}

ssize_t writev(int fd, const struct iovec *parts, int n_parts) {
  static ssize_t (*real)(int, const struct iovec *, int);
  ino_t inode;
  size_t n;
  char *whole;
  ssize_t done;

  NEXT(real, "writev");
  if (!is_watching() || !is_file(fd, &inode)) {
    return real(fd, parts, n_parts);
  }
  whole = gathered(parts, n_parts, &n);
  done = write(fd, whole, n);
  free(whole);
  return done;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n_parts, off64_t at) {
  static ssize_t (*real)(int, const struct iovec *, int, off64_t);
  ino_t inode;
  size_t n;
  char *whole;
  ssize_t done;

  NEXT(real, "pwritev64");
  if (!is_watching() || !is_file(fd, &inode)) {
    return real(fd, parts, n_parts, at);
  }
  whole = gathered(parts, n_parts, &n);
  done = pwrite64(fd, whole, n, at);
  free(whole);
  return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int n_parts, off_t at) {
  return pwritev64(fd, parts, n_parts, at);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int n_parts, off64_t at, int flags) {
  (void)flags; /* hints, but for RWF_APPEND, which nobody here uses */
  return at < 0 ? writev(fd, parts, n_parts) : pwritev64(fd, parts, n_parts, at);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int n_parts, off_t at, int flags) {
  return pwritev64v2(fd, parts, n_parts, at, flags);
}

ssize_t read(int fd, void *to, size_t n) {
  static ssize_t (*real)(int, void *, size_t);
  ino_t inode;

  NEXT(real, "read");
  if (is_watching() && is_file(fd, &inode) && n > 0 && (n = allowed(ON_READ, fd, n)) == 0) {
    return -1;
  }
  return real(fd, to, n);
}

ssize_t pread64(int fd, void *to, size_t n, off64_t at) {
  static ssize_t (*real)(int, void *, size_t, off64_t);
  ino_t inode;

  NEXT(real, "pread64");
  if (is_watching() && is_file(fd, &inode) && n > 0 && (n = allowed(ON_READ, fd, n)) == 0) {
    return -1;
  }
  return real(fd, to, n, at);
}

ssize_t pread(int fd, void *to, size_t n, off_t at) { return pread64(fd, to, n, at); }

int ftruncate64(int fd, off64_t n_bytes) {
  static int (*real)(int, off64_t);
  ino_t inode;
  int done;

  NEXT(real, "ftruncate64");
  if (!is_watching() || !is_file(fd, &inode)) {
    return real(fd, n_bytes);
  }
  if (!fd_survives(ON_TRUNCATE, fd)) {
    return -1;
  }
  lock();
  done = real(fd, n_bytes);
  if (done == 0) {
    note(TRUNCATE, 0, inode, (uint64_t)n_bytes, NULL, NULL, 0);
  }
  unlock();
  return done;
}

int ftruncate(int fd, off_t n_bytes) { return ftruncate64(fd, n_bytes); }

int truncate64(const char *path, off64_t n_bytes) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  int done, why;

  if (fd < 0) {
    return -1;
  }
  done = ftruncate64(fd, n_bytes);
  why = errno;
  close(fd);
  errno = why;
  return done;
}

int truncate(const char *path, off_t n_bytes) { return truncate64(path, n_bytes); }

int fallocate64(int fd, int mode, off64_t at, off64_t n) {
  static int (*real)(int, int, off64_t, off64_t);
  ino_t inode;
  int done;

  NEXT(real, "fallocate64");
  if (!is_watching() || !is_file(fd, &inode)) {
    return real(fd, mode, at, n);
  }
  if (!fd_survives(ON_TRUNCATE, fd)) {
    return -1;
  }
  lock();
  done = real(fd, mode, at, n);
  if (done == 0 && mode == 0) {
    note(ALLOCATE, 0, inode, (uint64_t)(at + n), NULL, NULL, 0);
  } else if (done == 0 && (mode & ~FALLOC_FL_KEEP_SIZE) != 0) {
    note(ESCAPE, 0, inode, 0, NULL, "fallocate", 9);
  }
  unlock();
  return done;
}

int fallocate(int fd, int mode, off_t at, off_t n) { return fallocate64(fd, mode, at, n); }

int posix_fallocate64(int fd, off64_t at, off64_t n) {
  int before = errno;
  int why = fallocate64(fd, 0, at, n) == 0 ? 0 : errno;

  errno = before;
  return why;
}

int posix_fallocate(int fd, off_t at, off_t n) { return posix_fallocate64(fd, at, n); }

static int sync_any(int fd, int (*real)(int), uint32_t flags) {
  char folder[PATH_MAX];
  ino_t inode = 0;
  bool is_of_folder = is_watching() && is_folder(fd, folder);
  int done;

  if (!is_watching() || (!is_of_folder && !is_file(fd, &inode))) {
    return real(fd);
  }
  if (!fd_survives(ON_SYNC, fd)) {
    return -1;
  }
  lock();
  done = real(fd);
  if (done == 0 && is_of_folder) {
    note(SYNC_FOLDER, 0, 0, 0, folder, NULL, 0);
  } else if (done == 0) {
    note(SYNC, flags, inode, 0, NULL, NULL, 0);
  }
  unlock();
  return done;
}

int fsync(int fd) {
  static int (*real)(int);

  NEXT(real, "fsync");
  return sync_any(fd, real, 0);
}

int fdatasync(int fd) {
  static int (*real)(int);

  NEXT(real, "fdatasync");
  return sync_any(fd, real, DATA_ONLY);
}

/* Copies that never pass through the program are refused, and it copies by hand. */
ssize_t sendfile64(int to, int from, off64_t *at, size_t n) {
  static ssize_t (*real)(int, int, off64_t *, size_t);
  ino_t inode;

  NEXT(real, "sendfile64");
  if (is_file(to, &inode)) {
    errno = EINVAL;
    return -1;
  }
  return real(to, from, at, n);
}

ssize_t sendfile(int to, int from, off_t *at, size_t n) { return sendfile64(to, from, at, n); }

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t n, unsigned flags) {
  static ssize_t (*real)(int, off64_t *, int, off64_t *, size_t, unsigned);
  ino_t inode;

  NEXT(real, "copy_file_range");
  if (is_file(to, &inode)) {
    errno = EXDEV;
    return -1;
  }
  return real(from, at, to, to_at, n, flags);
}

void *mmap64(void *at, size_t n, int rights, int flags, int fd, off64_t from) {
  static void *(*real)(void *, size_t, int, int, int, off64_t);
  char path[PATH_MAX];
  ino_t inode;

  NEXT(real, "mmap64");
  if (is_noting() && (flags & MAP_SHARED) != 0 && (rights & PROT_WRITE) != 0 &&
      is_file(fd, &inode) && path_of_fd(fd, path) && strstr(path, "-shm") == NULL) {
    lock();
    note(ESCAPE, 0, inode, 0, path, "mmap", 4);
    unlock();
  }
  return real(at, n, rights, flags, fd, from);
}

void *mmap(void *at, size_t n, int rights, int flags, int fd, off_t from) {
  return mmap64(at, n, rights, flags, fd, from);
}
