/*
 * What is to happen to the board: commands out of a file and on stdin, each at its true time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_PLANNED 4096
#define LONGEST 256

typedef struct {
  uint64_t ns;
  char text[LONGEST];
} planned;

static planned plan[N_PLANNED]; /* in the order of their times, the next one first */
static unsigned n_planned, n_done;

static void add(uint64_t ns, const char *text)
{
  unsigned at = n_planned;
  if (n_planned == N_PLANNED) {
    bench_fail("more than %d commands", N_PLANNED);
  }
  while (at > n_done && plan[at - 1].ns > ns) {
    plan[at] = plan[at - 1];
    at--;
  }
  plan[at].ns = ns;
  snprintf(plan[at].text, LONGEST, "%s", text);
  n_planned++;
}

static void obey_pin(const char *text)
{
  char name[8];
  int level;
  if (sscanf(text, "pin %7s %d", name, &level) != 2) {
    bench_fail("not pin NAME LEVEL: %s", text);
  }
  inputs_set_pin(name, level);
}

static void obey_chip(const char *text)
{
  char name[32];
  int n = 0;
  if (sscanf(text, "chip %31s %n", name, &n) != 1 || inputs_chip_command(name, text + n) != 0) {
    bench_fail("no chip takes this: %s", text);
  }
}

static void obey(const char *text)
{
  if (strncmp(text, "pin ", 4) == 0) {
    obey_pin(text);
  } else if (strncmp(text, "unplug", 6) == 0) {
    line_unplug((unsigned)atoi(text + 6));
  } else if (strcmp(text, "plug") == 0) {
    cable_plug();
  } else if (strncmp(text, "reset", 5) == 0) {
    bench_reset(atof(text + 5));
  } else if (strncmp(text, "speed ", 6) == 0) {
    bench_set_speed(atof(text + 6));
  } else if (strncmp(text, "chip ", 5) == 0) {
    obey_chip(text);
  } else if (strcmp(text, "quit") == 0) {
    bench_quit(0);
  } else {
    bench_fail("no command: %s", text);
  }
}

static void read_planned(const char *text, const char *where)
{
  double at_s;
  int n = 0;
  if (sscanf(text, "%lf %n", &at_s, &n) != 1 || at_s < 0.0) {
    bench_fail("%s: not SECONDS COMMAND: %s", where, text);
  }
  add((uint64_t)(at_s * (double)NS_A_S), text + n);
}

void script_read(const char *path)
{
  char line[LONGEST];
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    bench_fail("cannot read %s", path);
  }
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (line[0] != '\0' && line[0] != '#') {
      read_planned(line, path);
    }
  }
  fclose(file);
}

static void take_line(const char *text)
{
  if (strncmp(text, "at ", 3) == 0) {
    read_planned(text + 3, "stdin");
  } else if (text[0] != '\0') {
    obey(text);
  }
}

static void read_stdin(void)
{
  static char line[LONGEST];
  static size_t n_line;
  struct pollfd at = {STDIN_FILENO, POLLIN, 0};
  char bytes[LONGEST];
  ssize_t n;
  if (poll(&at, 1, 0) <= 0) {
    return;
  }
  n = read(STDIN_FILENO, bytes, sizeof bytes);
  if (n <= 0) {
    bench_quit(0); /* whoever started us has gone */
  }
  for (ssize_t i = 0; i < n; i++) {
    if (bytes[i] != '\n' && n_line < sizeof line - 1) {
      line[n_line++] = bytes[i];
    } else if (bytes[i] == '\n') {
      line[n_line] = '\0';
      n_line = 0;
      take_line(line);
    }
  }
}

void script_work(void)
{
  read_stdin();
  while (n_done < n_planned && plan[n_done].ns <= bench_now_ns()) {
    obey(plan[n_done++].text);
  }
}
