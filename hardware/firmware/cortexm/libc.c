/*
 * What the compiler calls by itself, so that no C library is needed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int value, size_t n);

/* Weak: where a C library is linked all the same (build.sh --attach), its own are better. */
__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
  uint8_t *at = to;
  const uint8_t *source = from;
  while (n-- > 0) {
    *at++ = *source++;
  }
  return to;
}

__attribute__((weak)) void *memset(void *to, int value, size_t n)
{
  uint8_t *at = to;
  while (n-- > 0) {
    *at++ = (uint8_t)value;
  }
  return to;
}
