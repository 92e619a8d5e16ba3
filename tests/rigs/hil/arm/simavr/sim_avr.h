/*
 * As much of simavr's interface as the virtual chips (chip_*.c) use, so that the same chips also
 * run beneath the Arduino core of the emulated ARM: see arm_bench.c. Cycles are its timer's counts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ARM_SIM_AVR_H
#define ARM_SIM_AVR_H

#include <stdint.h>

typedef uint64_t avr_cycle_count_t;

/* The processor's own parts, of which there are none: io_port is NULL. */
typedef struct avr_io_t {
  struct avr_io_t *next;
  const char *kind;
} avr_io_t;

typedef struct {
  avr_cycle_count_t cycle;
  uint8_t data[256]; /* an AVR's registers: those of its SPI are kept as the sketch set it */
  avr_io_t *io_port;
} avr_t;

typedef struct avr_irq_t avr_irq_t;
typedef void (*avr_irq_notify_t)(avr_irq_t *irq, uint32_t value, void *param);
typedef avr_cycle_count_t (*avr_cycle_timer_t)(avr_t *avr, avr_cycle_count_t when, void *param);

avr_irq_t *avr_io_getirq(avr_t *avr, uint32_t of, int index);
void avr_irq_register_notify(avr_irq_t *irq, avr_irq_notify_t notify, void *param);
void avr_raise_irq(avr_irq_t *irq, uint32_t value);
void avr_cycle_timer_register(avr_t *avr, avr_cycle_count_t after, avr_cycle_timer_t run,
                              void *param);
void avr_cycle_timer_cancel(avr_t *avr, avr_cycle_timer_t run, void *param);

#endif
