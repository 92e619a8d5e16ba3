/*
 * Registers of an I2C chip through Arduino's Wire, so that neither a missing chip nor a bus that
 * hangs can stop the board. Arduino only, included by a sketch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HW_I2C_H
#define HW_I2C_H

#include <Arduino.h>
#include <Wire.h>

#define HW_I2C_HZ 400000uL
#define HW_I2C_TRIES 3u
#define HW_I2C_TIMEOUT_US 3000uL /* the longest transfer, 35 bytes, takes 0.8 ms */
#define HW_I2C_MOST 30u          /* bytes of a transfer: Wire holds 32 on an AVR */

/* A bound on every wait for the bus, where this core's Wire has one (AVR from 1.8.3 on): that is
 * seen by the call and not by a macro, which some releases lack. */
template <typename Bus>
static inline auto hw_i2c_bound(Bus &bus, int) -> decltype(bus.setWireTimeout(1uL, true))
{
  bus.setWireTimeout(HW_I2C_TIMEOUT_US, true);
}
template <typename Bus>
static inline void hw_i2c_bound(Bus &, long)
{
}

/* Also after a chip has vanished: one that lost its power in the middle of a byte may hold SDA low
 * for ever. Nine clocks let it end that byte (NXP UM10204, 3.1.16). */
static inline void hw_i2c_begin(void)
{
#ifdef WIRE_HAS_END
  Wire.end();
#endif
#if defined(PIN_WIRE_SDA) && defined(PIN_WIRE_SCL)
  /* As open drain: pulled up or driven low, never driven high. */
  pinMode(PIN_WIRE_SDA, INPUT_PULLUP);
  for (uint8_t i = 0; i < 9 && digitalRead(PIN_WIRE_SDA) == LOW; i++) {
    pinMode(PIN_WIRE_SCL, OUTPUT);
    digitalWrite(PIN_WIRE_SCL, LOW);
    delay(1);
    pinMode(PIN_WIRE_SCL, INPUT_PULLUP);
    delay(1);
  }
#endif
  Wire.begin();
  Wire.setClock(HW_I2C_HZ);
  hw_i2c_bound(Wire, 0);
}

/* Read n registers (or n bytes of a FIFO register) once; 1 = all of them came. */
static inline uint8_t hw_i2c_read_once(uint8_t address, uint8_t reg, uint8_t *bytes, uint8_t n)
{
  Wire.beginTransmission(address);
  Wire.write(reg);
  if (Wire.endTransmission(false) != 0) {
    return 0;
  }
  if (Wire.requestFrom(address, n) != n) {
    return 0;
  }
  for (uint8_t i = 0; i < n; i++) {
    bytes[i] = (uint8_t)Wire.read();
  }
  return 1;
}

/* The same, tried a few times: for registers that may be read twice. */
static inline uint8_t hw_i2c_read(uint8_t address, uint8_t reg, uint8_t *bytes, uint8_t n)
{
  for (uint8_t i = 0; i < HW_I2C_TRIES; i++) {
    if (hw_i2c_read_once(address, reg, bytes, n)) {
      return 1;
    }
  }
  return 0;
}

static inline uint8_t hw_i2c_write(uint8_t address, uint8_t reg, uint8_t value)
{
  for (uint8_t i = 0; i < HW_I2C_TRIES; i++) {
    Wire.beginTransmission(address);
    Wire.write(reg);
    Wire.write(value);
    if (Wire.endTransmission() == 0) {
      return 1;
    }
  }
  return 0;
}

/* Write, and read back: a setting that did not arrive is a wrong measurement later. */
static inline uint8_t hw_i2c_set(uint8_t address, uint8_t reg, uint8_t value)
{
  uint8_t back = 0;
  return hw_i2c_write(address, reg, value) && hw_i2c_read(address, reg, &back, 1) && back == value;
}

#endif
