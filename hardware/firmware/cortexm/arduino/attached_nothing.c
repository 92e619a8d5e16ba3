/*
 * Nothing is attached: see attached.h. Inputs stay low, a bus is at its pull-ups.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "attached.h"

#define NOBODY 2u

void attached_begin(void)
{
}

void attached_idle(void)
{
}

void attached_pin(uint8_t pin, uint8_t level)
{
  (void)pin;
  (void)level;
}

void attached_spi_settings(uint32_t hz, uint8_t order, uint8_t mode)
{
  (void)hz;
  (void)order;
  (void)mode;
}

uint8_t attached_spi(uint8_t value)
{
  (void)value;
  return 0xFF;
}

uint8_t attached_i2c_write(uint8_t address, const uint8_t *bytes, uint8_t n, uint8_t stop)
{
  (void)address;
  (void)bytes;
  (void)n;
  (void)stop;
  return NOBODY;
}

uint8_t attached_i2c_read(uint8_t address, uint8_t *bytes, uint8_t n)
{
  (void)address;
  (void)bytes;
  (void)n;
  return 0;
}
