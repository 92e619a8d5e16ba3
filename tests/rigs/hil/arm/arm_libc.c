/*
 * What the C library asks a system for, which there is none of: words go to UART1, and memory comes
 * out of an array. For the virtual chips only; firmware does without a C library.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "arm_bench.h"

#include <stddef.h>
#include <sys/stat.h>

#include "startup.h"

int _write(int file, const char *bytes, int n);
void *_sbrk(int more);
int _close(int file);
int _read(int file, char *bytes, int n);
int _lseek(int file, int offset, int from);
int _fstat(int file, struct stat *about);
int _isatty(int file);
int _getpid(void);
int _kill(int pid, int number);
void _exit(int code) __attribute__((noreturn));

int _write(int file, const char *bytes, int n)
{
  (void)file;
  arm_say(bytes, (size_t)n);
  return n;
}

void *_sbrk(int more)
{
  static char heap[16384];
  static size_t used;
  char *at = heap + used;
  if (used + (size_t)more > sizeof heap) {
    startup_broken();
  }
  used += (size_t)more;
  return at;
}

int _close(int file)
{
  return -(file < 0);
}

int _read(int file, char *bytes, int n)
{
  (void)file;
  (void)bytes;
  (void)n;
  return 0;
}

int _lseek(int file, int offset, int from)
{
  (void)file;
  (void)offset;
  (void)from;
  return 0;
}

int _fstat(int file, struct stat *about)
{
  (void)file;
  about->st_mode = S_IFCHR;
  return 0;
}

int _isatty(int file)
{
  (void)file;
  return 1;
}

int _getpid(void)
{
  return 1;
}

int _kill(int pid, int number)
{
  (void)pid;
  (void)number;
  return -1;
}

void _exit(int code)
{
  (void)code;
  startup_broken();
}
