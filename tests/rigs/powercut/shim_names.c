/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls that change names in folders, part of the disk shim.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

static int rename_any(int folder, const char *from, int to_folder, const char *to, unsigned flags) {
  static int (*real)(int, const char *, int, const char *, unsigned);
  char old[PATH_MAX], new[PATH_MAX];
  bool is_old, is_new;
  int done;

  NEXT(real, "renameat2");
  is_old = path_of(folder, from, old);
  is_new = path_of(to_folder, to, new);
  if (!is_old && !is_new) {
    return real(folder, from, to_folder, to, flags);
  }
  if (!path_survives(ON_RENAME, is_new ? new : old)) {
    return -1;
  }
  lock();
  done = real(folder, from, to_folder, to, flags);
  if (done == 0 && is_old && is_new && flags == 0) {
    note(RENAME, 0, 0, 0, old, new, strlen(new));
  } else if (done == 0 && is_old && !is_new) {
    note(UNLINK, 0, 0, 0, old, NULL, 0);
  } else if (done == 0) {
    note(ESCAPE, 0, 0, 0, new, "rename", 6);
  }
  unlock();
  return done;
}

int rename(const char *from, const char *to) {
  return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int folder, const char *from, int to_folder, const char *to) {
  return rename_any(folder, from, to_folder, to, 0);
}
int renameat2(int folder, const char *from, int to_folder, const char *to, unsigned flags) {
  return rename_any(folder, from, to_folder, to, flags);
}

int unlinkat(int folder, const char *path, int flags) {
  static int (*real)(int, const char *, int);
  char whole[PATH_MAX];
  int done;

  NEXT(real, "unlinkat");
  if (!path_of(folder, path, whole)) {
    return real(folder, path, flags);
  }
  if (!path_survives(ON_UNLINK, whole)) {
    return -1;
  }
  lock();
  done = real(folder, path, flags);
  if (done == 0) {
    note((flags & AT_REMOVEDIR) != 0 ? RMDIR : UNLINK, 0, 0, 0, whole, NULL, 0);
  }
  unlock();
  return done;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
  int done = unlinkat(AT_FDCWD, path, 0);

  return done != 0 && (errno == EISDIR || errno == EPERM) ? rmdir(path) : done;
}

int linkat(int folder, const char *from, int to_folder, const char *to, int flags) {
  static int (*real)(int, const char *, int, const char *, int);
  char old[PATH_MAX], new[PATH_MAX];
  int done;

  NEXT(real, "linkat");
  if (!path_of(to_folder, to, new)) {
    return real(folder, from, to_folder, to, flags);
  }
  if (!path_survives(ON_LINK, new)) {
    return -1;
  }
  lock();
  done = real(folder, from, to_folder, to, flags);
  if (done == 0 && path_of(folder, from, old)) {
    note(LINK, 0, 0, 0, old, new, strlen(new));
  } else if (done == 0) {
    note(ESCAPE, 0, 0, 0, new, "link", 4);
  }
  unlock();
  return done;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *to, int folder, const char *path) {
  static int (*real)(const char *, int, const char *);
  char whole[PATH_MAX];

  NEXT(real, "symlinkat");
  if (is_noting() && path_of(folder, path, whole)) {
    lock();
    note(ESCAPE, 0, 0, 0, whole, "symlink", 7);
    unlock();
  }
  return real(to, folder, path);
}

int symlink(const char *to, const char *path) { return symlinkat(to, AT_FDCWD, path); }

int mkdirat(int folder, const char *path, mode_t mode) {
  static int (*real)(int, const char *, mode_t);
  char whole[PATH_MAX];
  int done;

  NEXT(real, "mkdirat");
  if (!path_of(folder, path, whole)) {
    return real(folder, path, mode);
  }
  if (!path_survives(ON_MKDIR, whole)) {
    return -1;
  }
  lock();
  done = real(folder, path, mode);
  if (done == 0) {
    note(MKDIR, 0, 0, 0, whole, NULL, 0);
  }
  unlock();
  return done;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
