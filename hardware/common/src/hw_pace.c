/*
 * An even clock for samples out of a FIFO: see hw_pace.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hw_pace.h"

#define LEARN_SHARE 32    /* of a move goes into the period: settles within some seconds */
#define LEARN_MOST_US 256 /* so that finding the phase at first does not spoil the period */
#define PERIOD_SHARE 16u  /* the period stays within 1/16 of the nominal one */

static uint32_t period_of(uint32_t rate_mhz)
{
  uint32_t us = 1000000000uL / rate_mhz;
  uint32_t rest = 1000000000uL % rate_mhz;
  return (us << 8) + (rest << 8) / rate_mhz;
}

void hw_pace_begin(hw_pace *pace, uint32_t rate_mhz)
{
  pace->last_us = 0;
  pace->last_q8 = 0;
  pace->known = 0;
  pace->nominal_q8 = period_of(rate_mhz);
  pace->period_q8 = pace->nominal_q8;
}

static void forward(hw_pace *pace, uint32_t by_q8)
{
  uint32_t q8 = by_q8 + pace->last_q8;
  pace->last_us += q8 >> 8;
  pace->last_q8 = (uint8_t)(q8 & 0xFFu);
}

static void learn(hw_pace *pace, int32_t moved_us)
{
  uint32_t least = pace->nominal_q8 - pace->nominal_q8 / PERIOD_SHARE;
  uint32_t most = pace->nominal_q8 + pace->nominal_q8 / PERIOD_SHARE;
  if (moved_us > LEARN_MOST_US) {
    moved_us = LEARN_MOST_US;
  } else if (moved_us < -LEARN_MOST_US) {
    moved_us = -LEARN_MOST_US;
  }
  pace->period_q8 += (uint32_t)(moved_us * 256 / LEARN_SHARE);
  if (pace->period_q8 < least) {
    pace->period_q8 = least;
  } else if (pace->period_q8 > most) {
    pace->period_q8 = most;
  }
}

void hw_pace_fit(hw_pace *pace, uint8_t n, uint32_t after_us, uint32_t by_us)
{
  uint32_t first_us = pace->last_us + (pace->period_q8 >> 8);
  uint32_t span_us = (pace->period_q8 * (uint32_t)(n - 1)) >> 8;
  int32_t early_us = (int32_t)(after_us - first_us);
  int32_t late_us = (int32_t)(first_us + span_us - by_us);
  if (!pace->known) {
    /* Nothing is known yet but that the last of them has just come. */
    pace->last_us = by_us - span_us - (pace->period_q8 >> 8);
    pace->known = 1;
    return;
  }
  if (late_us > 0) {
    pace->last_us -= (uint32_t)late_us;
    learn(pace, -late_us);
  } else if (early_us > 0) {
    pace->last_us += (uint32_t)early_us;
    learn(pace, early_us);
  }
}

uint32_t hw_pace_next(hw_pace *pace)
{
  forward(pace, pace->period_q8);
  return pace->last_us;
}

uint32_t hw_pace_skip(hw_pace *pace, uint8_t n, uint32_t after_us, uint32_t by_us)
{
  uint32_t period_us = pace->period_q8 >> 8;
  uint32_t span_us = (pace->period_q8 * (uint32_t)(n - 1)) >> 8;
  int32_t room_us = (int32_t)(by_us - span_us - after_us);
  /* The first of them is half way between what is certain. */
  uint32_t first_us = after_us + (uint32_t)(room_us / 2);
  uint32_t n_periods = (first_us - pace->last_us + period_us / 2) / period_us;
  uint32_t i;
  if (!pace->known || n_periods == 0) {
    return 0;
  }
  for (i = 1; i < n_periods; i++) {
    forward(pace, pace->period_q8);
  }
  return n_periods - 1;
}
