/*
 * SPI as Arduino has it: see Arduino.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPI_h
#define SPI_h

#include <Arduino.h>

#define SPI_MODE0 0x00
#define SPI_MODE1 0x01
#define SPI_MODE2 0x02
#define SPI_MODE3 0x03

class SPISettings {
 public:
  SPISettings(uint32_t hz_most, uint8_t first_bit, uint8_t clock_mode)
      : hz(hz_most), order(first_bit), mode(clock_mode)
  {
  }
  uint32_t hz;
  uint8_t order;
  uint8_t mode;
};

class SPIBus {
 public:
  void begin() {}
  void beginTransaction(SPISettings settings);
  uint8_t transfer(uint8_t value);
  void endTransaction() {}
};
extern SPIBus SPI;

#endif
