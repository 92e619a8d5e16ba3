/* SPDX-License-Identifier: Apache-2.0
 *
 * Which paths and descriptors lie in the watched folder, and the log of what was done to them.
 *
 * A line of the log: u32 op, flags, bytes of path, bytes of data; u64 inode, offset; path; data.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim.h"

#define MAX_FDS 65536
#define LOG_FD 900

struct line {
  uint32_t op, flags, n_path, n_data;
  uint64_t inode, at;
};

static struct {
  enum { NOT_OURS, A_FILE, A_FOLDER } is;
  ino_t inode;
} fds[MAX_FDS];
static char under[PATH_MAX];
static size_t n_under;
static int log_fd = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

void lock(void) {
  if (log_fd >= 0) {
    pthread_mutex_lock(&order);
  }
}

void unlock(void) {
  if (log_fd >= 0) {
    pthread_mutex_unlock(&order);
  }
}

bool is_watching(void) {
  return n_under > 0;
}

bool is_noting(void) {
  return log_fd >= 0;
}

/* Take "." and ".." and doubled strokes out of an absolute path, in place. */
static void simplify(char *path) {
  char *out = path;
  const char *in = path;

  while (*in != '\0') {
    size_t n;

    while (*in == '/') {
      in++;
    }
    n = strcspn(in, "/");
    if (n == 2 && in[0] == '.' && in[1] == '.') {
      while (out > path && *--out != '/') {
      }
    } else if (n > 0 && !(n == 1 && in[0] == '.')) {
      *out++ = '/';
      memmove(out, in, n);
      out += n;
    }
    in += n;
  }
  *out = '\0';
}

static bool is_under(const char *path) {
  return n_under > 0 && strncmp(path, under, n_under) == 0 &&
         (path[n_under] == '/' || path[n_under] == '\0');
}

bool path_of_fd(int fd, char out[PATH_MAX]) {
  char link[64];
  ssize_t n;

  (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink(link, out, PATH_MAX - 1);
  if (n <= 0 || out[0] != '/') {
    return false;
  }
  out[n] = '\0';
  return true;
}

/* Give a path's absolute form; return whether it lies in the watched folder. */
bool path_of(int folder, const char *path, char out[PATH_MAX]) {
  size_t n = 0;

  if (!is_watching() || path == NULL) {
    return false;
  }
  if (path[0] != '/') {
    if (folder == AT_FDCWD ? getcwd(out, PATH_MAX) == NULL : !path_of_fd(folder, out)) {
      return false;
    }
    n = strlen(out);
    out[n++] = '/';
  }
  if (n + strlen(path) >= PATH_MAX) {
    return false;
  }
  strcpy(out + n, path);
  simplify(out);
  return is_under(out);
}

bool is_file(int fd, ino_t *inode) {
  if (fd < 0 || fd >= MAX_FDS || fds[fd].is != A_FILE) {
    return false;
  }
  *inode = fds[fd].inode;
  return true;
}

bool is_folder(int fd, char out[PATH_MAX]) {
  return fd >= 0 && fd < MAX_FDS && fds[fd].is == A_FOLDER && path_of_fd(fd, out);
}

void adopt(int fd) {
  struct stat about;

  if (fd < 0 || fd >= MAX_FDS || fstat(fd, &about) != 0) {
    return;
  }
  fds[fd].is = S_ISDIR(about.st_mode) ? A_FOLDER : S_ISREG(about.st_mode) ? A_FILE : NOT_OURS;
  fds[fd].inode = about.st_ino;
}

void forget(int fd) {
  if (fd >= 0 && fd < MAX_FDS) {
    fds[fd].is = NOT_OURS;
  }
}

void copy_of(int from, int to) {
  if (from >= 0 && from < MAX_FDS && to >= 0 && to < MAX_FDS) {
    fds[to] = fds[from];
  }
}

void note(enum op op, uint32_t flags, uint64_t inode, uint64_t at, const char *path,
          const void *data, size_t n) {
  struct line line = {(uint32_t)op, flags, path == NULL ? 0 : (uint32_t)strlen(path), (uint32_t)n,
                      inode, at};
  char small[8192];
  char *whole = small;
  size_t n_path = line.n_path;
  size_t n_whole = sizeof line + n_path + n;

  if (log_fd < 0) {
    return;
  }
  if (n_whole > sizeof small && (whole = malloc(n_whole)) == NULL) {
    abort();
  }
  memcpy(whole, &line, sizeof line);
  if (n_path > 0) {
    memcpy(whole + sizeof line, path, n_path);
  }
  if (n > 0) {
    memcpy(whole + sizeof line + n_path, data, n);
  }
  /* Appended in one call: lines of several processes do not mix. A log that is cut is worth
   * nothing, so that a full disk ends it all. */
  if (real_write(log_fd, whole, n_whole) != (ssize_t)n_whole) {
    abort();
  }
  if (whole != small) {
    free(whole);
  }
}

static void unlocked_in_child(void) {
  pthread_mutex_init(&order, NULL);
}

void powercut_end(void) {
  if (log_fd >= 0) {
    close(log_fd);
  }
  log_fd = -1;
  n_under = 0;
  memset(fds, 0, sizeof fds);
}

/* Watch a folder from now on; files of it that are open already count. The log may be "": only
 * faults are wanted then. Return 0, or -1 where either cannot be used. */
int powercut_begin(const char *folder, const char *log) {
  static bool is_set;
  char path[PATH_MAX];
  int fd;

  powercut_end();
  if (realpath(folder, under) == NULL) {
    return -1;
  }
  if (!is_set) {
    is_set = pthread_atfork(NULL, NULL, unlocked_in_child) == 0;
  }
  if (log != NULL && log[0] != '\0') {
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
      return -1;
    }
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD); /* out of the way of the numbers programs get */
    close(fd);
    if (log_fd < 0) {
      return -1;
    }
  }
  n_under = strlen(under);
  for (fd = 0; fd < 1024; fd++) {
    if (fd != log_fd && path_of_fd(fd, path) && is_under(path)) {
      adopt(fd);
    }
  }
  return 0;
}

void powercut_mark(const char *what, size_t n) {
  lock();
  note(MARK, 0, 0, 0, NULL, what, n);
  unlock();
}

__attribute__((constructor)) static void begin_by_environment(void) {
  const char *folder = getenv("HOMEWARD_POWERCUT_UNDER");
  const char *log = getenv("HOMEWARD_POWERCUT_LOG");

  if (folder != NULL && folder[0] != '\0' && powercut_begin(folder, log) != 0) {
    (void)fprintf(stderr, "powercut: %s or its log cannot be used: %s\n", folder, strerror(errno));
    abort();
  }
}
