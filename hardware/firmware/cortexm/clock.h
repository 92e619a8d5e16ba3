/*
 * The board's clock, and the tick at the sampling rate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Microseconds since the start, wrapping at 2^32. From anywhere; call it at least every 100 s. */
uint32_t clock_us(void);
/* Call tick from an interrupt every period_us, which must divide by the timer's clock exactly, the
 * first time one period from now. Replaces the tick before; 0 us: none from now on. */
void clock_tick(uint32_t period_us, void (*tick)(void));

#ifdef __cplusplus
}
#endif
#endif
