/*
 * I2C as Arduino has it: see Arduino.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef Wire_h
#define Wire_h

#include <Arduino.h>

class TwoWire {
 public:
  void begin() {}
  void end() {}
  void setClock(uint32_t hz) { (void)hz; }
  void beginTransmission(uint8_t address);
  size_t write(uint8_t value);
  /* 0 done, 2 nobody there, 3 not taken; as everywhere in Arduino */
  uint8_t endTransmission(bool stop = true);
  uint8_t requestFrom(uint8_t address, uint8_t n);
  int available();
  int read();

 private:
  enum { MOST = 32 }; /* as on an AVR */
  uint8_t address;
  uint8_t bytes[MOST];
  uint8_t n_bytes;
  uint8_t at;
};
extern TwoWire Wire;

#endif
