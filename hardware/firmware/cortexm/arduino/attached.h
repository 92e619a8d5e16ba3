/*
 * What is wired to the pins and buses of the Arduino core. The emulated machine has nothing there
 * (attached_nothing.c); a rig links virtual chips instead (build.sh --attach).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ATTACHED_H
#define ATTACHED_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CORE_PINS 14u

void attached_begin(void); /* before setup() */
void attached_idle(void);  /* after every loop() */
void attached_pin(uint8_t pin, uint8_t level);
void attached_spi_settings(uint32_t hz, uint8_t order, uint8_t mode);
uint8_t attached_spi(uint8_t value);
/* START and the address, bytes, and STOP where it is asked for; 0, 2 or 3 as Wire says. */
uint8_t attached_i2c_write(uint8_t address, const uint8_t *bytes, uint8_t n, uint8_t stop);
/* The number of bytes that were read. */
uint8_t attached_i2c_read(uint8_t address, uint8_t *bytes, uint8_t n);

/* For what is attached: the level of an input; runs the sketch's interrupt where it has one. */
void core_input(uint8_t pin, uint8_t level);

#ifdef __cplusplus
}
#endif
#endif
