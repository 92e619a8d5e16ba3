/*
 * The Arduino core: see Arduino.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <Arduino.h>
#include <SPI.h>
#include <Wire.h>

#include "attached.h"
#include "clock.h"
#include "mps2.h"
#include "startup.h"
#include "uart.h"

#define US_A_MS 1000u

struct Pin {
  uint8_t level;
  uint8_t edge; /* of its interrupt; 0: none */
  void (*run)(void);
};

static Pin pins[CORE_PINS];
static volatile uint32_t ms;

SerialLine Serial;
SPIBus SPI;
TwoWire Wire;

/* ---- Pins ------------------------------------------------------------------------------------ */

static Pin *pin_of(uint8_t pin)
{
  if (pin >= CORE_PINS) {
    startup_broken();
  }
  return &pins[pin];
}

void pinMode(uint8_t pin, uint8_t mode)
{
  /* An output that was written before it was one drives that level at once, as on an AVR. */
  if (mode == OUTPUT) {
    attached_pin(pin, pin_of(pin)->level);
  }
}

void digitalWrite(uint8_t pin, uint8_t level)
{
  pin_of(pin)->level = level;
  attached_pin(pin, level);
}

int digitalRead(uint8_t pin)
{
  return pin_of(pin)->level;
}

void attachInterrupt(uint8_t interrupt, void (*run)(void), int edge)
{
  Pin *pin = pin_of(interrupt);
  pin->run = run;
  pin->edge = (uint8_t)edge;
}

void detachInterrupt(uint8_t interrupt)
{
  pin_of(interrupt)->edge = 0;
}

void core_input(uint8_t number, uint8_t level)
{
  Pin *pin = pin_of(number);
  bool changed = pin->level != level;
  pin->level = level;
  if (changed && (pin->edge == CHANGE || pin->edge == (level ? RISING : FALLING))) {
    pin->run();
  }
}

void noInterrupts(void)
{
  cpu_mask();
}

void interrupts(void)
{
  cpu_unmask();
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void tick(void)
{
  ms = ms + 1;
}

unsigned long micros(void)
{
  return clock_us();
}

unsigned long millis(void)
{
  return ms;
}

void yield(void)
{
  startup_alive();
  cpu_sleep();
}

void delay(unsigned long span_ms)
{
  unsigned long began_ms = ms;
  while (ms - began_ms <= span_ms) {
    yield();
  }
}

/* ---- Serial line ----------------------------------------------------------------------------- */

void SerialLine::begin(unsigned long baud)
{
  uart_begin(&uart0, baud);
}

size_t SerialLine::write(const uint8_t *bytes, size_t n)
{
  uart_write(&uart0, bytes, (uint16_t)n);
  return n;
}

int SerialLine::available()
{
  return uart_waiting(&uart0);
}

int SerialLine::read()
{
  return uart_waiting(&uart0) ? uart_read(&uart0) : -1;
}

/* ---- SPI ------------------------------------------------------------------------------------- */

void SPIBus::beginTransaction(SPISettings settings)
{
  attached_spi_settings(settings.hz, settings.order, settings.mode);
}

uint8_t SPIBus::transfer(uint8_t value)
{
  return attached_spi(value);
}

/* ---- I2C ------------------------------------------------------------------------------------- */

void TwoWire::beginTransmission(uint8_t to)
{
  address = to;
  n_bytes = 0;
}

size_t TwoWire::write(uint8_t value)
{
  if (n_bytes >= MOST) {
    return 0;
  }
  bytes[n_bytes++] = value;
  return 1;
}

uint8_t TwoWire::endTransmission(bool stop)
{
  return attached_i2c_write(address, bytes, n_bytes, stop);
}

uint8_t TwoWire::requestFrom(uint8_t from, uint8_t n)
{
  at = 0;
  n_bytes = attached_i2c_read(from, bytes, n < MOST ? n : (uint8_t)MOST);
  return n_bytes;
}

int TwoWire::available()
{
  return n_bytes - at;
}

int TwoWire::read()
{
  return at < n_bytes ? bytes[at++] : -1;
}

/* ---- The program ----------------------------------------------------------------------------- */

int main()
{
  clock_tick(US_A_MS, tick);
  attached_begin();
  setup();
  for (;;) {
    loop();
    attached_idle();
    yield();
  }
}
