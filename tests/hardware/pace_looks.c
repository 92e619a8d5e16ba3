/*
 * hw_pace against a chip whose samples are known: the driver of test_pace.py.
 *
 *     pace_looks SEED PPM PERIOD_US STALL_US LOST
 *
 * A chip samples every PERIOD_US, PPM too fast, and is looked at every 4 ms or so; one look in fifty
 * comes STALL_US later. LOST samples are lost half way. The clock wraps on the way. Prints, for each
 * sample that was handed over: number, true time, the clock minus it, and how long the two looks
 * around it are apart.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "hw_pace.h"

#define N_LOOKS 12000
#define LOOK_US 4000
#define BEFORE_WRAP_US 4280000000.0
#define MOST 33

static uint32_t state;

static double chance(double most)
{
  state = state * 1664525u + 1013904223u;
  return most * (double)(state >> 8) / 16777216.0;
}

static uint32_t wrapped(double us)
{
  return (uint32_t)(uint64_t)us;
}

int main(int argc, char **argv)
{
  double period_us, now_us = BEFORE_WRAP_US, empty_us = now_us, first_us, nominal_us, stall_us;
  unsigned long number = 0, n_lost;
  int i;
  hw_pace pace;
  if (argc != 6) {
    return 2;
  }
  state = (uint32_t)atoi(argv[1]);
  nominal_us = atof(argv[3]);
  period_us = nominal_us / (1.0 + atof(argv[2]) * 1e-6);
  stall_us = atof(argv[4]);
  n_lost = (unsigned long)atol(argv[5]);
  first_us = now_us + chance(period_us);
  hw_pace_begin(&pace, (uint32_t)(1e9 / nominal_us));
  for (i = 0; i < N_LOOKS; i++) {
    double began_us, at_us;
    uint8_t n = 0, j;
    now_us += LOOK_US + chance(300.0) + (chance(50.0) < 1.0 ? stall_us : 0.0);
    began_us = now_us - 200.0; /* the look itself takes so long */
    if (i == N_LOOKS / 2 && n_lost > 0) {
      /* It was away, and as many are lost; those that are there now come after them. */
      now_us += (double)n_lost * period_us;
      began_us = empty_us = now_us - 200.0;
      while (first_us + (double)number * period_us < empty_us) {
        number++;
      }
      now_us += period_us;
    }
    while (n < MOST && first_us + (double)(number + n) * period_us < now_us) {
      n++;
    }
    if (n == 0) {
      empty_us = began_us;
      continue;
    }
    if (i == N_LOOKS / 2 && n_lost > 0) {
      hw_pace_skip(&pace, n, wrapped(empty_us), wrapped(now_us));
    }
    hw_pace_fit(&pace, n, wrapped(empty_us), wrapped(now_us));
    for (j = 0; j < n; j++) {
      at_us = first_us + (double)(number + j) * period_us;
      printf("%lu %.3f %ld %.0f\n", number + j, at_us,
             (long)(int32_t)(hw_pace_next(&pace) - wrapped(at_us)), now_us - empty_us);
    }
    number += n;
    empty_us = began_us;
  }
  return 0;
}
