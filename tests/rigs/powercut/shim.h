/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the disk shim: what its three parts share. See shim_calls.c for what it is.
 */
#ifndef SHIM_H
#define SHIM_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum op { OPEN = 1, WRITE, TRUNCATE, ALLOCATE, SYNC, SYNC_FOLDER, RENAME, UNLINK, LINK, MKDIR,
          RMDIR, MARK, ESCAPE, CLOSE };

enum call { ON_WRITE, ON_SYNC, ON_OPEN, ON_RENAME, ON_TRUNCATE, ON_UNLINK, ON_MKDIR, ON_READ,
            ON_LINK, N_CALLS };

/* What a call is to suffer: errno, or 0; a short count; seconds to hang first. */
struct fault {
  int error;
  bool is_short;
  unsigned hang_s;
};

/* Flags of OPEN and SYNC in the log. */
#define CREATED 1u
#define IS_FOLDER 2u
#define DATA_ONLY 1u

/* shim_notes.c: which paths and descriptors count, and the log. */
bool is_watching(void);
bool is_noting(void);
bool path_of(int folder, const char *path, char out[PATH_MAX]);
bool is_file(int fd, ino_t *inode);
bool is_folder(int fd, char out[PATH_MAX]);
void adopt(int fd);
void forget(int fd);
void copy_of(int from, int to);
void note(enum op op, uint32_t flags, uint64_t inode, uint64_t at, const char *path,
          const void *data, size_t n);
void lock(void);
void unlock(void);

/* shim_faults.c: which call fails. */
struct fault strike(enum call call, const char *path);
bool path_of_fd(int fd, char out[PATH_MAX]);

/* shim_calls.c. `allowed`: how many of n bytes a call may take, 0 with errno: it fails. */
void *next_of(const char *name);
ssize_t real_write(int fd, const void *from, size_t n);
bool path_survives(enum call call, const char *path);
bool fd_survives(enum call call, int fd);
size_t allowed(enum call call, int fd, size_t n);

/* ISO C has no way from void * to a function but through its bytes. */
#define NEXT(function, name)                       \
  do {                                             \
    if ((function) == NULL) {                      \
      void *found_ = next_of(name);                \
      memcpy(&(function), &found_, sizeof found_); \
    }                                              \
  } while (0)

/* What a program under the shim may call itself. */
int powercut_begin(const char *folder, const char *log);
void powercut_end(void);
void powercut_mark(const char *what, size_t n);
int powercut_fail(const char *spec);
void powercut_counts(unsigned long long out[N_CALLS]);
unsigned long long powercut_struck(void);

#endif
