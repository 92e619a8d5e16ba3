/*
 * The board's clock for samples that a chip takes by a clock of its own and keeps in a FIFO.
 *
 * The frames need the time of each sample on the board's clock (hardware/PACKET.md). Counting
 * samples times the nominal period would not do: the oscillators in such chips are off by several
 * per cent, and a listener allows a clock one. The time at which the loop happens to read would not
 * do either: it shakes by as much as the loop does.
 *
 * What is known for certain is this: a sample that a look at the FIFO found was taken before that
 * look, and after the look before, which did not find it. So the clock runs on evenly, by the
 * period estimated so far, and is moved only where it would leave these bounds, and then just on
 * to them. It is never off by more than the time between two looks. Where looks slide along the
 * samples, as they do with two clocks, the tightest bounds win and the error becomes much smaller
 * than that; the period is learnt from the moves.
 *
 * Portable C99, integers only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HW_PACE_H
#define HW_PACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  uint32_t last_us;    /* clock of the last sample */
  uint8_t last_q8;     /* and 1/256 us */
  uint8_t known;       /* there has been a sample */
  uint32_t period_q8;  /* between two samples, in 1/256 us */
  uint32_t nominal_q8;
} hw_pace;

/* Begin, or begin anew after the chip was set up: rate in thousandths of a hertz, 1 Hz to
 * 10 kHz. */
void hw_pace_begin(hw_pace *pace, uint32_t rate_mhz);
/* n samples are there, 1 to 33, all of them taken after after_us and by by_us, none missing before
 * them. Then call hw_pace_next() n times. */
void hw_pace_fit(hw_pace *pace, uint8_t n, uint32_t after_us, uint32_t by_us);
/* The clock of the next sample. */
uint32_t hw_pace_next(hw_pace *pace);
/* Samples are missing before these n: leave out as many periods as went by; then hw_pace_fit().
 * Returns how many. */
uint32_t hw_pace_skip(hw_pace *pace, uint8_t n, uint32_t after_us, uint32_t by_us);

#ifdef __cplusplus
}
#endif
#endif
