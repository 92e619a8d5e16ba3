/*
 * What the parts of the bench on the emulated ARM share: see arm_bench.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ARM_BENCH_H
#define ARM_BENCH_H

#include <stddef.h>

#include <simavr/sim_avr.h>

extern avr_t arm_avr;

/* What a transfer over SPI would have taken so far in simavr. */
uint64_t arm_spi_ns(void);

/* Bytes to whoever is at UART1, from anywhere; dropped where there is no room. */
void arm_say(const char *text, size_t n);

#endif
