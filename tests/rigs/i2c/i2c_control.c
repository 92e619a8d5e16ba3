/* SPDX-License-Identifier: Apache-2.0
 *
 * The control file (HOMEWARD_I2C_CONTROL: lines "name=number") and the log (HOMEWARD_I2C_LOG).
 * A test replaces the control file by renaming another over it, so that it is never half read.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "i2c_chips.h"

#define NS_PER_S 1e9
#define LINE_BYTES 128

struct control control = {
    .bus_khz = 100,
    .max30102_part = 0x15,
    .mlx90614_address = 0x5A,
    .mlx90614_object = 15358,
    .mlx90614_ambient = 14845,
    .tmp117_raw = 4685,
    .tmp117_device = 0x0117,
};

#define NAMED(member) {#member, &control.member}
static const struct {
  const char *name;
  long *value;
} names[] = {
    NAMED(bus_open_errno),   NAMED(bus_errno),        NAMED(bus_hang_ms),
    NAMED(bus_khz),          NAMED(bus_held),         NAMED(bus_nak_every),
    NAMED(max30102_plugged), NAMED(max30102_cut),     NAMED(max30102_stuck),
    NAMED(max30102_part),    NAMED(max30102_ppm),     NAMED(max30102_high),
    NAMED(mlx90614_plugged), NAMED(mlx90614_address), NAMED(mlx90614_object),
    NAMED(mlx90614_ambient), NAMED(mlx90614_pec_xor), NAMED(tmp117_plugged),
    NAMED(tmp117_raw),       NAMED(tmp117_device),    NAMED(tmp117_stuck),
};

static void set_value(const char *line) {
  const char *equals = strchr(line, '=');
  size_t i;

  for (i = 0; equals != NULL && i < sizeof names / sizeof names[0]; i++) {
    size_t n = strlen(names[i].name);

    if (n == (size_t)(equals - line) && strncmp(line, names[i].name, n) == 0) {
      *names[i].value = strtol(equals + 1, NULL, 0);
      return;
    }
  }
  fprintf(stderr, "i2c_shim: no such setting: %s", line);
  abort();
}

void control_follow(void) {
  static struct stat before;
  const char *path = getenv("HOMEWARD_I2C_CONTROL");
  struct stat found;
  char line[LINE_BYTES];
  FILE *file;

  if (path == NULL || stat(path, &found) != 0) {
    return;
  }
  if (found.st_ino == before.st_ino && found.st_mtim.tv_nsec == before.st_mtim.tv_nsec &&
      found.st_mtim.tv_sec == before.st_mtim.tv_sec) {
    return;
  }
  file = fopen(path, "re");
  if (file == NULL) {
    return;
  }
  before = found;
  while (fgets(line, sizeof line, file) != NULL) {
    set_value(line);
  }
  fclose(file);
}

double now_s(void) {
  struct timespec at;

  clock_gettime(CLOCK_BOOTTIME, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / NS_PER_S;
}

void say(const char *format, ...) {
  const char *path = getenv("HOMEWARD_I2C_LOG");
  char line[LINE_BYTES];
  va_list rest;
  int n, fd;

  if (path == NULL) {
    return;
  }
  n = snprintf(line, sizeof line, "%.6f ", now_s());
  va_start(rest, format);
  n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, rest);
  va_end(rest);
  line[n++] = '\n';
  fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd >= 0) {
    if (write(fd, line, (size_t)n) != n) {
      abort();
    }
    close(fd);
  }
}
