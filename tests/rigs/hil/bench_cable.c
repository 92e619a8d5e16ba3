/*
 * The USB cable: a pseudo terminal that comes and goes, and the link that points at it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const char *link_path;
static int master = -1;

void cable_begin(const char *link)
{
  link_path = link;
}

/* Baud rate of the other end; 0 where nobody has set one that is known here. */
double cable_baud(void)
{
  static const struct { speed_t code; double baud; } known[] = {
      {B1200, 1200},   {B2400, 2400},   {B4800, 4800},     {B9600, 9600},     {B19200, 19200},
      {B38400, 38400}, {B57600, 57600}, {B115200, 115200}, {B230400, 230400}, {B460800, 460800},
  };
  struct termios settings;
  if (master >= 0 && tcgetattr(master, &settings) == 0) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
      if (known[i].code == cfgetospeed(&settings)) {
        return known[i].baud;
      }
    }
  }
  return 0.0;
}

int cable_is_open(void)
{
  struct pollfd at = {master, POLLOUT, 0};
  return master >= 0 && poll(&at, 1, 0) >= 0 && !(at.revents & POLLHUP);
}

size_t cable_write(const uint8_t *bytes, size_t n)
{
  ssize_t written = write(master, bytes, n);
  return written > 0 ? (size_t)written : 0; /* its buffer is full */
}

size_t cable_read(uint8_t *bytes, size_t size)
{
  ssize_t n = master >= 0 ? read(master, bytes, size) : 0;
  return n > 0 ? (size_t)n : 0;
}

int cable_is_plugged(void)
{
  return master >= 0;
}

/* What a real line does from the start: no echo, nothing translated. */
static void make_raw(const char *port)
{
  struct termios settings;
  int slave = open(port, O_RDWR | O_NOCTTY);
  if (slave < 0 || tcgetattr(slave, &settings) < 0) {
    bench_fail("cannot open %s: %s", port, strerror(errno));
  }
  cfmakeraw(&settings);
  cfsetspeed(&settings, B115200);
  tcsetattr(slave, TCSANOW, &settings);
  close(slave); /* from here on the terminal knows that nobody has it open */
}

/* Point the link at a port without a moment in which it points nowhere. */
static void point_link(const char *port)
{
  char fresh[4096];
  if (link_path == NULL) {
    return;
  }
  snprintf(fresh, sizeof fresh, "%s.new", link_path);
  unlink(fresh);
  if (symlink(port, fresh) < 0 || rename(fresh, link_path) < 0) {
    bench_fail("cannot make the link %s: %s", link_path, strerror(errno));
  }
}

void cable_plug(void)
{
  const char *port;
  if (master >= 0) {
    return;
  }
  master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0) {
    bench_fail("cannot make a pseudo terminal: %s", strerror(errno));
  }
  port = ptsname(master);
  make_raw(port);
  bench_shared->n_plugged++;
  bench_shared->is_plugged = 1;
  bench_say("port %s", port);
  point_link(port);
}

void cable_pull(void)
{
  if (link_path != NULL) {
    unlink(link_path);
  }
  close(master);
  master = -1;
  bench_shared->is_plugged = 0;
}
