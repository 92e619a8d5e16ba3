/* SPDX-License-Identifier: Apache-2.0
 *
 * An I2C bus without hardware: loaded with LD_PRELOAD, it takes open, close and ioctl of one path
 * (HOMEWARD_I2C_PATH, such as /dev/i2c-99) and answers as Linux' i2c-dev does over the driver of
 * the Raspberry Pi, with virtual chips at the other end. smbus2 is the real one.
 *
 *   gcc -D_GNU_SOURCE -shared -fPIC -o i2c_shim.so *.c -ldl -lpthread
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "i2c_chips.h"

#define N_CHIPS (sizeof chips / sizeof chips[0])
#define MAX_FDS 1024
#define NS_PER_BIT_AT_KHZ 1000000L
#define BITS_PER_BYTE 9L

typedef int open_fn(const char *, int, ...);
typedef int close_fn(int);
typedef int ioctl_fn(int, unsigned long, ...);

static pthread_mutex_t bus = PTHREAD_MUTEX_INITIALIZER;
static struct {
  bool is_bus;
  unsigned address;
} fds[MAX_FDS];
static const struct chip *const chips[] = {&max30102, &mlx90614, &tmp117};
static unsigned long n_transfers;

static void *next_of(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);

  if (found == NULL) {
    abort();
  }
  return found;
}

static void sleep_ns(long ns) {
  struct timespec left = {ns / 1000000000L, ns % 1000000000L};

  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

static void take_time(size_t n_bytes) {
  if (control.bus_khz > 0) {
    sleep_ns((long)n_bytes * BITS_PER_BYTE * NS_PER_BIT_AT_KHZ / control.bus_khz);
  }
}

/* Wait as a bus does whose lines are held low; return whether it is so. */
static bool hangs(void) {
  double began_s = now_s();
  bool ever = false;

  while (control.bus_hang_ms != 0) {
    double limit_s = control.bus_hang_ms < 0 ? 1e9 : (double)control.bus_hang_ms / 1000;

    ever = true;
    if (now_s() - began_s >= limit_s) {
      break;
    }
    sleep_ns(5000000L);
    control_follow();
  }
  return ever;
}

static const struct chip *chip_at(unsigned address) {
  size_t i;

  for (i = 0; i < N_CHIPS; i++) {
    if (chips[i]->answers(address)) {
      return chips[i];
    }
  }
  return NULL;
}

/* One transfer; 0, or the error. */
static int transfer(const struct i2c_msg *messages, unsigned n) {
  const struct chip *chip;
  size_t i;

  control_follow();
  n_transfers++;
  if (hangs()) {
    return ETIMEDOUT;
  }
  for (i = 0; i < N_CHIPS; i++) {
    chips[i]->live();
  }
  if (control.bus_errno != 0) {
    return (int)control.bus_errno;
  }
  if (control.bus_nak_every > 0 && n_transfers % (unsigned long)control.bus_nak_every == 0) {
    return EREMOTEIO;
  }
  for (i = 0; i < n; i++) {
    const struct i2c_msg *one = &messages[i];

    chip = chip_at(one->addr);
    if (chip == NULL) {
      take_time(1);
      return EREMOTEIO;
    }
    take_time((size_t)one->len + 1);
    if (one->flags & I2C_M_RD) {
      chip->read(one->buf, one->len);
    } else if (one->len > 0) {
      chip->write(one->buf, one->len);
    }
  }
  return 0;
}

/* An SMBus call as the messages the kernel makes of it for a plain I2C bus. */
static int smbus(unsigned address, const struct i2c_smbus_ioctl_data *asked) {
  uint8_t out[I2C_SMBUS_BLOCK_MAX + 2] = {asked->command};
  union i2c_smbus_data *data = asked->data;
  bool reads = asked->read_write == I2C_SMBUS_READ;
  struct i2c_msg messages[2] = {
      {.addr = (uint16_t)address, .len = 1, .buf = out},
      {.addr = (uint16_t)address, .flags = I2C_M_RD},
  };
  uint8_t *values;
  uint16_t n;

  switch (asked->size) {
    case I2C_SMBUS_BYTE_DATA:
      n = 1;
      values = &data->byte;
      break;
    case I2C_SMBUS_WORD_DATA:
      n = 2;
      values = data->block; /* the low byte comes first, as on this machine */
      break;
    case I2C_SMBUS_I2C_BLOCK_DATA:
      n = data->block[0];
      values = data->block + 1;
      break;
    default:
      return EOPNOTSUPP;
  }
  if (n > I2C_SMBUS_BLOCK_MAX) {
    return EINVAL;
  }
  if (reads) {
    messages[1].len = n;
    messages[1].buf = values;
    return transfer(messages, 2);
  }
  memcpy(out + 1, values, n);
  messages[0].len = (uint16_t)(n + 1);
  return transfer(messages, 1);
}

static int answer(int fd, unsigned long request, void *argument) {
  const struct i2c_rdwr_ioctl_data *combined = argument;

  switch (request) {
    case I2C_FUNCS:
      *(unsigned long *)argument = I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
      return 0;
    case I2C_SLAVE:
      control_follow();
      fds[fd].address = (unsigned)(uintptr_t)argument;
      return control.bus_held == (long)fds[fd].address ? EBUSY : 0;
    case I2C_SMBUS:
      return smbus(fds[fd].address, argument);
    case I2C_RDWR:
      return transfer(combined->msgs, combined->nmsgs);
    default:
      return ENOTTY;
  }
}

static int open_bus(void) {
  open_fn *real;
  int fd;

  pthread_mutex_lock(&bus);
  control_follow();
  pthread_mutex_unlock(&bus);
  if (control.bus_open_errno != 0) {
    errno = (int)control.bus_open_errno;
    return -1;
  }
  *(void **)(&real) = next_of("open");
  fd = real("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd >= MAX_FDS) {
    abort();
  }
  if (fd >= 0) {
    fds[fd].is_bus = true;
    fds[fd].address = 0;
    say("opened");
  }
  return fd;
}

static bool is_bus(const char *path) {
  const char *wanted = getenv("HOMEWARD_I2C_PATH");

  return wanted != NULL && strcmp(path, wanted) == 0;
}

static int open_other(const char *name, const char *path, int flags, mode_t mode) {
  open_fn *real;

  *(void **)(&real) = next_of(name);
  return real(path, flags, mode);
}

static bool makes_file(int flags) {
  return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

int open(const char *path, int flags, ...) {
  mode_t mode;
  va_list rest;

  va_start(rest, flags);
  mode = makes_file(flags) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return is_bus(path) ? open_bus() : open_other("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  mode_t mode;
  va_list rest;

  va_start(rest, flags);
  mode = makes_file(flags) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return is_bus(path) ? open_bus() : open_other("open64", path, flags, mode);
}

int close(int fd) {
  close_fn *real;

  *(void **)(&real) = next_of("close");
  if (fd >= 0 && fd < MAX_FDS && fds[fd].is_bus) {
    fds[fd].is_bus = false;
    say("closed");
  }
  return real(fd);
}

int ioctl(int fd, unsigned long request, ...) {
  ioctl_fn *real;
  void *argument;
  va_list rest;
  int failed;

  va_start(rest, request);
  argument = va_arg(rest, void *);
  va_end(rest);
  if (fd < 0 || fd >= MAX_FDS || !fds[fd].is_bus) {
    *(void **)(&real) = next_of("ioctl");
    return real(fd, request, argument);
  }
  pthread_mutex_lock(&bus);
  failed = answer(fd, request, argument);
  pthread_mutex_unlock(&bus);
  if (failed != 0) {
    errno = failed;
    return -1;
  }
  return 0;
}

__attribute__((destructor)) static void end(void) {
  size_t i;

  for (i = 0; i < N_CHIPS; i++) {
    chips[i]->end();
  }
  say("transfers %lu", n_transfers);
}
