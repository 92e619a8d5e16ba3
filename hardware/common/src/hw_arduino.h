/*
 * What the Arduino sketches share: serial line, clock, rest. Arduino only, included by a sketch.
 *
 * Only calls that every Arduino core has, but for the sleep of the AVR.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HW_ARDUINO_H
#define HW_ARDUINO_H

#include <Arduino.h>
#include <hw_board.h>

#ifdef ARDUINO_ARCH_AVR
#include <avr/sleep.h>
#endif

/* On a 16 MHz AVR this is 117,647 baud, 2.1 % fast: within what a receiver bears (4 %), and the
 * nearest there is. Boards with USB of their own take any number. */
#define HW_BAUD 115200

static inline uint32_t hw_now_us(void)
{
  return (uint32_t)micros();
}

static inline void hw_wait_us(uint32_t us)
{
  uint32_t began_us = hw_now_us();
  /* One step of micros() may be about to end, on an AVR 4 us: wait it out too. */
  while (hw_now_us() - began_us < us + 4u) {
  }
}

static inline void hw_serial_begin(void)
{
  Serial.begin(HW_BAUD);
}

/* For hw_board_begin. Waits where the core's buffer is full. */
static inline void hw_serial_write(const uint8_t *bytes, uint16_t n)
{
  Serial.write(bytes, n);
}

/* Take commands, and send what is due. */
static inline void hw_serve(hw_board *board)
{
  while (Serial.available() > 0) {
    hw_board_take(board, (uint8_t)Serial.read(), hw_now_us());
  }
  hw_board_idle(board, hw_now_us());
}

/* Sleep until the next interrupt (the core's clock makes one a millisecond), but not if *count, an
 * interrupt's own, is no longer `seen`. NULL: whatever. Off the AVR this returns at once. The kind
 * of sleep is idle, which is what an AVR does unless it is told otherwise. */
static inline void hw_rest(const volatile uint8_t *count, uint8_t seen)
{
#ifdef ARDUINO_ARCH_AVR
  noInterrupts();
  if (count == NULL || *count == seen) {
    sleep_enable();
    interrupts(); /* takes effect after the next instruction: nothing can come in between */
    sleep_cpu();
    sleep_disable();
  }
  interrupts();
#else
  (void)count;
  (void)seen;
#endif
}

#endif
